import assert from "node:assert/strict";
import { test } from "node:test";
import { Check } from "typebox/value";
import { createSeededRandom, type Random } from "#base/random.ts";
import { FunctionConfigSchema } from "../api/resources.ts";
import { type ParsedConfig, parseAppConfig } from "./app-config.ts";
import { formatMistakes } from "./mistakes.ts";

/** FUZZ_SEED replays a run from its beginning, FUZZ_MS makes it longer. */
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const RUN_MS = Number(process.env.FUZZ_MS ?? 1_500);

const START = `app: shop
env: { REGION: north }
network: { allow: [example.com, "*.example.com:443"] }
x-defaults: &defaults { memory: 128MiB, timeout: 30s }
functions:
  thumb:
    <<: *defaults
    runtime: nodejs24
    source: ./thumb
    handler: index.mjs#run
    concurrency: 20
    env: { QUALITY: "80" }
    scaling: { min: 0, max: 50, keepAlive: 5m, freezeAfter: 30s }
    queue: { length: 10, timeout: 1s }
    limits: { body: 1GiB }
    build: { installScripts: [sharp] }
    triggers:
      - http: GET /thumb/{id}
        host: a.example
      - timer: "*/5 * * * *"
  rows: { runtime: python, execution: threads }
`;
const PIECES = [
  ...[
    "",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    ": ",
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "&a ",
    "*a",
    "*defaults",
    "<<: ",
    "!!",
    "|",
    ">",
    "'",
    '"',
  ],
  ...[
    "null",
    "~",
    "true",
    "-1",
    "0",
    "1e9",
    "1e999",
    ".nan",
    "0x10",
    "99999999999999999999",
    "128MB",
    "5d",
    "__proto__",
    "constructor",
  ],
  ...[
    "COLIBRI_A",
    "\0",
    "\u001b",
    "\u2028",
    "\ufeff",
    "é",
    "🐦",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "? ",
    "x".repeat(3_000),
    "../",
    "/",
    "#",
  ],
  ...["runtime: python\n", "functions:\n", "scaling", "triggers: [{ http: /fn }]", "min: 9", "\n    memory: 1KiB\n"],
];

function mutate(text: string, random: Random): string {
  let mutated = text;
  for (let count = 1 + random.below(4); count > 0; count--) {
    const from = random.below(mutated.length + 1);
    const kind = random.below(3);
    const to = kind === 0 ? from : from + random.below(12);
    const piece =
      kind === 1
        ? ""
        : kind === 2
          ? mutated.slice(random.below(mutated.length + 1)).slice(0, 40)
          : PIECES[random.below(PIECES.length)]!;
    mutated = mutated.slice(0, from) + piece + mutated.slice(to);
  }
  return mutated;
}

type Parse = (text: string) => ParsedConfig;

const parse: Parse = (text) => parseAppConfig(text, { exists: () => true });

/** Throws when a promise is broken. */
function check(text: string, parsed: ParsedConfig): "config" | "mistakes" {
  if (parsed.kind === "config") {
    const functions = Object.values(parsed.config.functions);
    assert.ok(functions.length > 0, "no function");
    for (const { config } of functions)
      assert.ok(Check(FunctionConfigSchema, config), "the control API would refuse it");
    return "config";
  }
  const lines = text.split(/\r\n|\r|\n/).length;
  assert.ok(parsed.mistakes.length > 0, "no mistake told");
  for (const { line, column, message } of parsed.mistakes) {
    assert.ok(line >= 1 && line <= lines + 1 && column >= 1, `no such place: ${line}:${column} of ${lines}`);
    assert.ok(message.length > 5 && message.length < 600, `not a message: ${message}`);
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
  assert.doesNotMatch(formatMistakes(parsed.mistakes, text, "f"), /[\u0000-\u0009\u001b]/);
  return "mistakes";
}

test("mutated files are read or refused with places", (context) => {
  const counts = { config: 0, mistakes: 0 };
  const until = Date.now() + RUN_MS;
  for (let seed = SEED; Date.now() < until; seed++) {
    const text = mutate(START, createSeededRandom(seed));
    try {
      counts[check(text, parse(text))]++;
    } catch (error) {
      throw new Error(`FUZZ_SEED=${seed} replays this: ${JSON.stringify(text)}`, { cause: error });
    }
  }
  context.diagnostic(`FUZZ_SEED=${SEED}: ${counts.config} read, ${counts.mistakes} refused`);
  assert.ok(counts.config > 0 && counts.mistakes > 0, "the mutations are too harsh or too mild");
});

test("canary: the same files catch a parser that forgets ranges or places", () => {
  const forgetful: Parse = (text) => {
    const parsed = parse(text);
    if (parsed.kind === "mistakes")
      return { kind: "mistakes", mistakes: parsed.mistakes.map((m) => ({ ...m, line: 0 })) };
    const [name, first] = Object.entries(parsed.config.functions)[0]!;
    const config = { ...first.config, memoryMiB: 1 };
    return { ...parsed, config: { ...parsed.config, functions: { [name]: { ...first, config } } } };
  };
  const caught = new Set<string>();
  for (let seed = 1; seed <= 300; seed++) {
    const text = mutate(START, createSeededRandom(seed));
    try {
      check(text, forgetful(text));
    } catch (error) {
      caught.add((error as Error).message.split(":")[0]!);
    }
  }
  assert.deepEqual([...caught].sort(), ["no such place", "the control API would refuse it"]);
});
