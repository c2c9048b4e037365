// A text as numbers: which runs of one to four letters it has, each hashed to one of SIZE places (FNV-1a, folded).
// Training and answering share this file.

export const SIZE = 2 ** 13;
const LONGEST_RUN = 4;
/** Of longer texts the beginning tells enough. */
const MOST_LETTERS = 2000;

/** Places and their weights; the squares of the weights sum to 1. Empty for a text without letters. */
export function featuresOf(text) {
  const counts = new Map();
  for (const word of wordsOf(text)) {
    const letters = Array.from(` ${word} `, (letter) => letter.codePointAt(0));
    for (let start = 0; start < letters.length; start++) {
      let hash = 0x811c9dc5;
      for (let end = start; end < letters.length && end < start + LONGEST_RUN; end++) {
        hash = Math.imul(hash ^ letters[end], 0x01000193) >>> 0;
        if (end > start || letters[start] !== SPACE) {
          const place = (hash ^ (hash >>> 15)) & (SIZE - 1);
          counts.set(place, (counts.get(place) ?? 0) + 1);
        }
      }
    }
  }
  return normalised(counts);
}

const SPACE = 32;

function wordsOf(text) {
  return (
    text
      .slice(0, MOST_LETTERS)
      .normalize("NFC")
      .toLowerCase()
      .match(/[\p{L}\p{M}]+/gu) ?? []
  );
}

function normalised(counts) {
  const places = Int32Array.from(counts.keys());
  const weights = Float32Array.from(counts.values(), Math.sqrt);
  const length = Math.hypot(...weights);
  return { places, weights: weights.map((weight) => weight / length) };
}
