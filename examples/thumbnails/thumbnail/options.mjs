// What the caller asks for, read from the path and the query.

/** A request that can't be served as it is: the status says whose move it is, the message what to change. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The longest side of a thumbnail, in pixels. */
export const MAX_SIDE = 4096;

const DEFAULT_WIDTH = 256;
const NAMES = ["width", "height", "format", "fit"];
const FORMATS = ["png", "jpeg", "webp"];
const FITS = ["cover", "contain", "inside", "fill"];

/** Reads `{ width, height, format, fit }`; width and height are pixels, and a missing one follows from the image. */
export function readOptions(request) {
  const given = { ...request?.query, ...request?.params };
  for (const [name, value] of Object.entries(given)) {
    if (!NAMES.includes(name)) throw new Refusal(400, `Unknown option "${name}": use ${NAMES.join(", ")}.`);
    if (typeof value !== "string") throw new Refusal(400, `"${name}" is given more than once: give it once.`);
  }
  const height = readSide("height", given.height);
  const width = readSide("width", given.width) ?? (height === undefined ? DEFAULT_WIDTH : undefined);
  return {
    width,
    height,
    format: readChoice("format", given.format, FORMATS),
    fit: readChoice("fit", given.fit, FITS),
  };
}

function readSide(name, text) {
  if (text === undefined) return undefined;
  const side = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (side >= 1 && side <= MAX_SIDE) return side;
  throw new Refusal(400, `${name} is "${text}": use a whole number of pixels from 1 to ${MAX_SIDE}.`);
}

function readChoice(name, text, choices) {
  if (text === undefined || choices.includes(text)) return text;
  throw new Refusal(400, `${name} is "${text}": use ${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}.`);
}
