import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readCorpus } from "./corpus.mjs";
import answer from "./index.mjs";
import { detect, readModel } from "./model.mjs";

const FOLDER = new URL("./", import.meta.url);
const model = readModel(FOLDER);

/** Deterministic, and another than in training: which names are joined does not matter. */
function createCounter() {
  let count = 0;
  return () => (count = (count + 0.618) % 1);
}

test("names it has never seen are told right, as often as the README says", () => {
  const { training, heldOut } = readCorpus(createCounter());
  const learnt = new Set(training.map(({ text }) => text));
  assert.ok(heldOut.length > 2000);
  for (const { text } of heldOut) assert.ok(!learnt.has(text), text);
  const right = heldOut.filter(({ text, language }) => detect(model, text)[0][0] === language);
  assert.ok(right.length / heldOut.length > 0.98, `${right.length} of ${heldOut.length}`);
});

test("everyday sentences, of which it learnt none, are mostly told right", () => {
  const sentences = JSON.parse(readFileSync(new URL("sentences.test.json", FOLDER), "utf8"));
  assert.deepEqual(Object.keys(sentences), model.languages);
  const all = Object.entries(sentences).flatMap(([language, texts]) => texts.map((text) => ({ language, text })));
  const right = all.filter(({ text, language }) => detect(model, text)[0][0] === language);
  assert.equal(all.length, 104);
  assert.ok(right.length >= 88, `${right.length} of ${all.length}`);
});

test("probabilities are of all languages and sum to one", () => {
  const found = detect(model, "Guten Morgen, wie geht es dir?");
  assert.equal(found[0][0], "de");
  assert.equal(found.length, model.languages.length);
  const sum = found.reduce((total, [, probability]) => total + probability, 0);
  assert.ok(Math.abs(sum - 1) < 1e-6);
});

test("a text may be sent in three ways", () => {
  const text = "Dziś wieczorem będzie padał deszcz";
  for (const answered of [answer(text, {}), answer({ text }, {}), answer(undefined, { request: { query: { text } } })])
    assert.equal(answered.language, "pl");
});

test("what is no text, or has no letters, is refused", async () => {
  for (const input of [undefined, 7, {}, [], "", "12 + 3", { text: 7 }]) {
    const refused = answer(input, { request: { query: {} } });
    assert.equal(refused.status, 422);
    assert.match((await refused.json()).error, /text/);
  }
});
