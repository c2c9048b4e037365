// Reads what train.mjs wrote, and answers with it: one multiplication of a sparse vector with a matrix, then softmax.
import { readFileSync } from "node:fs";
import { featuresOf, SIZE } from "./features.mjs";

/** `model.json` says which languages, `model.bin` holds the matrix: a row of whole numbers from -127 to 127 for each place. */
export function readModel(folder) {
  const { languages, scale } = JSON.parse(readFileSync(new URL("model.json", folder), "utf8"));
  const bytes = readFileSync(new URL("model.bin", folder));
  const matrix = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  if (matrix.length !== SIZE * languages.length)
    throw new Error(
      `model.bin has ${matrix.length} weights where features.mjs wants ${SIZE * languages.length}: train it again.`,
    );
  return { languages, scale, matrix };
}

/** `[language, probability]`, the most probable first; empty for a text without letters. */
export function detect({ languages, scale, matrix }, text) {
  const { places, weights } = featuresOf(text);
  if (places.length === 0) return [];
  const sums = new Float32Array(languages.length);
  for (let index = 0; index < places.length; index++) {
    const row = places[index] * sums.length;
    for (let language = 0; language < sums.length; language++)
      sums[language] += matrix[row + language] * weights[index];
  }
  return softmax(sums.map((sum) => sum * scale))
    .map((probability, index) => [languages[index], probability])
    .sort((a, b) => b[1] - a[1]);
}

export function softmax(sums) {
  const highest = Math.max(...sums);
  const powers = Array.from(sums, (sum) => Math.exp(sum - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
