import assert from "node:assert/strict";
import { test } from "node:test";
import hello from "./index.ts";

test("it greets in the language asked for", async () => {
  assert.deepEqual(await hello({ name: "Ada", language: "fr" }), { greeting: "Bonjour, Ada!", language: "fr" });
  assert.deepEqual(await hello(null), { greeting: "Hello, world!", language: "en" });
});

test("a language it doesn't speak is an error that lists those it does", async () => {
  await assert.rejects(hello({ language: "toString" }), /no greeting in "toString": use en, de, fr or pl/);
});
