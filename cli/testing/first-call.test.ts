import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAppConfig } from "#contract/config/app-config.ts";
import { temporaryFolder } from "../fixture/run.ts";
import { parseCaseFile } from "./case-file.ts";
import { firstCalls } from "./first-call.ts";
import { proposeCases } from "./proposal.ts";

const APP = `app: shop
functions:
  plain: { runtime: nodejs, handler: index.mjs }
  claimed: { runtime: nodejs, handler: index.mjs, triggers: [{ http: "PUT /thumb/{width}" }] }
  read: { runtime: nodejs, handler: index.mjs, triggers: [{ http: "GET /a", host: a.example.com }, { http: /b }] }
  timed: { runtime: nodejs, handler: index.mjs, triggers: [{ timer: "*/5 * * * *" }] }
`;

function configOf(text: string) {
  const parsed = parseAppConfig(text, { exists: () => true });
  assert.ok(parsed.kind === "config");
  return parsed.config;
}
const CONFIG = configOf(APP);

function callsFor(t: Parameters<typeof temporaryFolder>[0], cases: string, shown = "my shop"): string[] {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, "photo.jpg"), "");
  writeFileSync(join(folder, "colibri.test.yaml"), cases);
  return [...firstCalls({ folder, shown, app: "shop", config: CONFIG }).values()];
}
const callFor = (t: Parameters<typeof temporaryFolder>[0], one: string) =>
  callsFor(t, `functions: { plain: [{ name: a, ${one} }] }`)[0]?.replace("npx colibri invoke shop/plain", "").trim();

test("a call sends what the case sends", (t) => {
  for (const [one, expected] of [
    ["expect: {}", ""],
    ["request: { path: /a, query: { b: c } }, expect: {}", "--path '/a?b=c'"],
    ['request: { json: { a: "it\'s" } }, expect: {}', `--data '{"a":"it'\\''s"}'`],
    ["request: { text: Hello }, expect: {}", "--data Hello"],
    ['request: { text: "12" }, expect: {}', "--data 12 --content-type text/plain"],
    ["request: { method: PUT, file: photo.jpg }, expect: {}", "--method PUT --file 'my shop/photo.jpg'"],
    [
      "request: { file: photo.jpg }, expect: { headers: { content-type: image/svg+xml } }",
      "--file 'my shop/photo.jpg'",
    ],
    [
      "request: { method: POST, headers: { X-A: b c } }, expect: { headers: { content-type: image/png } }",
      "--method POST --header 'x-a: b c' --output plain.png",
    ],
  ] as const)
    assert.equal(callFor(t, one), expected, one);
});

test("what can't be, or is not to succeed, is not proposed", (t) => {
  for (const one of [
    "expect: { status: 404 }",
    "expect: { error: bad-input }",
    "skip: later, expect: {}",
    "request: { url: /thumb/7 }, expect: {}",
    'request: { text: "two\\nlines" }, expect: {}',
    `request: { text: ${"long ".repeat(60)} }, expect: {}`,
    "expect: { nonsense: 1 }",
  ])
    assert.equal(callFor(t, one), undefined, one);
});

test("one for each function, the first that fits, in the order of the file", (t) => {
  const cases =
    "functions: { timed: [{ name: a, expect: { status: 500 } }, { name: b, request: { path: /b }, expect: {} }, { name: c, expect: {} }], plain: [{ name: a, expect: {} }] }";
  assert.deepEqual(callsFor(t, cases), ["npx colibri invoke shop/timed --path /b", "npx colibri invoke shop/plain"]);
});

test("first cases are proposed as colibri.yaml has the functions, and can be taken as they stand", () => {
  const names = Object.keys(CONFIG.functions);
  const lines = proposeCases(CONFIG, names);
  const text = lines.slice(lines.indexOf("  functions:")).join("\n");
  const parsed = parseCaseFile(text, { functions: names, find: () => "absent" });
  assert.ok(parsed.kind === "cases", text);
  const requests = parsed.cases.map(({ function: fn, request }) => [fn, request.method, request.url, request.body]);
  assert.deepEqual(requests, [
    ["plain", undefined, undefined, { kind: "none" }],
    ["claimed", "PUT", "/thumb/1", { kind: "json", value: {} }],
    ["read", undefined, "/b", { kind: "none" }],
    ["timed", undefined, undefined, { kind: "json", value: { trigger: "timer", schedule: "*/5 * * * *" } }],
  ]);
});
