// Trains the model anew and writes model.json and model.bin: `npx colibri node detect/train.mjs`. The same Node gives the same model.
import { writeFileSync } from "node:fs";
import { LANGUAGES, readCorpus } from "./corpus.mjs";
import { featuresOf, SIZE } from "./features.mjs";
import { detect, softmax } from "./model.mjs";

const EPOCHS = 5;
const RATE = 0.5;
/** Weights that are rarely of use shrink. */
const DECAY = 1e-6;
const SHARPNESS = 10;
const folder = new URL("./", import.meta.url);

const random = createRandom(7);
const { training, heldOut } = readCorpus(random);
const matrix = train(
  training.map(({ text, language }) => ({ ...featuresOf(text), label: LANGUAGES.indexOf(language) })),
);
const model = quantise(matrix);
const right = heldOut.filter(({ text, language }) => detect(model, text)[0]?.[0] === language).length;
const accuracy = Number((right / heldOut.length).toFixed(4));
const { languages, scale } = model;
writeFileSync(new URL("model.bin", folder), model.matrix);
writeFileSync(
  new URL("model.json", folder),
  `${JSON.stringify({ languages, scale, accuracy, cldr: process.versions.cldr }, null, 2)}\n`,
);
console.log(`${training.length} texts learnt; of ${heldOut.length} kept apart ${right} are told right: ${accuracy}`);

/** Softmax regression by stochastic gradient descent, each weight with a rate of its own (Duchi, Hazan, Singer: AdaGrad, 2011). */
function train(samples) {
  const weights = new Float32Array(SIZE * LANGUAGES.length);
  const squares = new Float32Array(weights.length).fill(1e-3);
  for (let epoch = 0; epoch < EPOCHS; epoch++) for (const sample of shuffled(samples)) learn(weights, squares, sample);
  return weights;
}

function learn(weights, squares, { places, weights: values, label }) {
  const sums = new Float32Array(LANGUAGES.length);
  places.forEach((place, index) => {
    for (let language = 0; language < sums.length; language++)
      sums[language] += weights[place * sums.length + language] * values[index];
  });
  const errors = softmax(sums.map((sum) => sum * SHARPNESS)).map(
    (probability, language) => probability - Number(language === label),
  );
  places.forEach((place, index) => {
    for (let language = 0; language < sums.length; language++) {
      const at = place * sums.length + language;
      const gradient = errors[language] * values[index] + DECAY * weights[at];
      squares[at] += gradient * gradient;
      weights[at] -= (RATE * gradient) / Math.sqrt(squares[at]) / SHARPNESS;
    }
  });
}

/** Eight bits a weight: a quarter of the size, and the answers are the same. */
function quantise(weights) {
  const largest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  const matrix = Int8Array.from(weights, (weight) => Math.round((weight / largest) * 127));
  return { languages: LANGUAGES, scale: (largest / 127) * SHARPNESS, matrix };
}

function shuffled(list) {
  const mixed = [...list];
  for (let last = mixed.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other], mixed[last]];
  }
  return mixed;
}

/** mulberry32: the same numbers for the same seed, everywhere. */
function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
