// Tells the language of a text. The model is read once, when a sandbox starts; an answer takes a fraction of a millisecond.
import { detect, readModel } from "./model.mjs";

const MODEL = readModel(new URL("./", import.meta.url));
const SHOWN = 3;

/** The text as `text/plain`, as `{"text": …}`, or as `?text=` of a GET. */
export default function answer(input, context) {
  const text = typeof input === "string" ? input : (input?.text ?? context.request?.query.text);
  if (typeof text !== "string") return refuse('Send a text: as text/plain, as {"text": …} or as ?text=….');
  const found = detect(MODEL, text);
  if (found.length === 0) return refuse("There are no letters in the text.");
  const candidates = found.slice(0, SHOWN).map(([language, probability]) => {
    return { language, probability: Number(probability.toFixed(3)) };
  });
  return { language: candidates[0].language, candidates };
}

function refuse(error) {
  return Response.json({ error }, { status: 422 });
}
