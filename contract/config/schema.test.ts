import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Check, Errors } from "typebox/schema";
import { parse } from "yaml";
import { parseAppConfig } from "./app-config.ts";
import { renderConfigSchema } from "./schema.ts";

const TEXT = readFileSync(new URL("./colibri.schema.json", import.meta.url), "utf8");
const SCHEMA = JSON.parse(TEXT);

function errorsOf(text: string): unknown[] {
  const value = parse(text, { merge: true });
  return Check(SCHEMA, value) ? [] : Errors(SCHEMA, value)[1];
}

function mistakesOf(text: string): unknown[] {
  const parsed = parseAppConfig(text, { exists: () => true });
  return parsed.kind === "mistakes" ? [...parsed.mistakes] : [];
}

/** A function with these lines. */
function fn(...lines: string[]): string {
  return ["app: a", "functions:", "  f:", "    runtime: nodejs", ...lines.map((line) => `    ${line}`), ""].join("\n");
}

const python = (line: string) => fn(line).replace("nodejs", "python");
const http = (value: string) => fn(`triggers: [{ http: ${JSON.stringify(value)} }]`);
const timer = (value: string) => fn(`triggers: [{ timer: ${JSON.stringify(value)} }]`);

const app = (network: string) => `network: ${network}\n${fn()}`;

const GOOD: readonly string[] = [
  fn(),
  ...["internet", '"none"', "{ allow: [example.com] }"].map(app),
  app('{ allow: ["*.Example.com.", 203.0.113.0/24, "api.example.com:443", "203.0.113.7:65535", registry, a_b.c] }'),
  fn().replace("nodejs", "nodejs24"),
  fn().replace("nodejs", "python3.11"),
  "app: a\nx-small: &small { runtime: nodejs, memory: 64MiB }\nfunctions: { one: *small, two: { <<: *small, timeout: 5s } }",
  fn("memory: 1.5GiB", "timeout: 100ms", "initTimeout: 1 m", "concurrency: 1000"),
  fn('env: { A: "x", B: 1, C: true, D: 1.5, E: "" }', 'source: "."', "handler: lib/index.ts#run"),
  python("handler: app.py#make"),
  python("execution: threads"),
  python("execution: loop"),
  fn("scaling: { min: 0, max: 1, keepAlive: 0ms }", "queue: { length: 0, timeout: 1ms }", "limits: { body: 0B }"),
  ...["never", "30s", "1.5 m"].map((after) => fn(`scaling: { freezeAfter: ${after} }`)),
  fn('build: { installScripts: [sharp, "@scope/a"] }'),
  fn("triggers: [{ http: GET /a, host: Shop.Example.com }, { timer: '*/5 * * * *' }]"),
  ...["/", "* /a", "get /a/{id}", "POST /a/{rest*}", "/a%20b/", "/fnord", "/.well-known/x", " GET   /a "].map(http),
  ...["0 3 * * mon-fri", "*/5 1-3,7 1 JAN 0-7", "05 23 31 12 SUN", "59/2 * * * *"].map(timer),
];

const BAD: readonly string[] = [
  "app: a",
  "functions: { f: { runtime: nodejs } }",
  "app: a\nfunctions: {}",
  ...["", "off", "true", "[example.com]", "{}", "{ deny: [a.b] }", "{ allow: }", "{ allow: a.b }"].map(app),
  ...["[]", "[7]", '["*"]', '["http://a"]', '["a b"]', '["a..b"]', '["a:0"]', '["a/b"]'].map((to) =>
    app(`{ allow: ${to} }`),
  ),
  fn("network: none"),
  "app: A\nfunctions: { f: { runtime: nodejs } }",
  "app: a\nfunctions: { F_g: { runtime: nodejs } }",
  "app: 7\nfunctions: { f: { runtime: nodejs } }",
  "app: a\nfunctions: { f: {} }",
  "app: a\nfunctions: { f: }",
  "app: a\nextra: 1\nfunctions: { f: { runtime: nodejs } }",
  ...["node", "nodejs24x", "ruby", "24"].map((runtime) => fn().replace("nodejs", runtime)),
  ...["128", "128MB", "-1MiB", '""', "[]", "12 3MiB"].map((size) => fn(`memory: ${size}`)),
  ...["30", "30sec", "soon"].map((duration) => fn(`timeout: ${duration}`)),
  ...["0", "1001", "1.5", '"4"', "many"].map((count) => fn(`concurrency: ${count}`)),
  ...["index.py", "../index.mjs", "/index.mjs", "a/../b.mjs", "index.mjs#", "index.mjs#1a", "index"].map((file) =>
    fn(`handler: ${JSON.stringify(file)}`),
  ),
  python("handler: index.mjs"),
  ...["/abs", "C:/x", ""].map((folder) => fn(`source: ${JSON.stringify(folder)}`)),
  fn("execution: threads"),
  fn("execution: fast"),
  fn("env: { COLIBRI_X: a }"),
  fn("env: { colibri_x: a }"),
  fn("env: { 1A: a }"),
  fn("env: { A: [] }"),
  fn("env: { A: }"),
  fn("env: [A=1]"),
  fn("scaling: { minimum: 1 }"),
  ...["Never", "30", "soon", "false"].map((after) => fn(`scaling: { freezeAfter: ${after} }`)),
  fn("max: 5"),
  fn("queue: { length: 100001 }"),
  fn("build: { installScripts: [sharp@1] }"),
  fn("build: { installScripts: sharp }"),
  fn("triggers: { http: GET / }"),
  fn("triggers: [GET /]"),
  fn("triggers: [{}]"),
  fn("triggers: [{ http: GET /, timer: '* * * * *' }]"),
  fn("triggers: [{ timer: '* * * * *', host: a.b }]"),
  fn("triggers: [{ http: GET /, host: 'a.b:80' }]"),
  ...["a", "GET", "GET a", "FETCH /a", "GET /a /b", "/a//b", "/a?x", "/a#x", "/./a", "/a/.."].map(http),
  ...["/{a*}/b", "/{a}b", "/{1a}", "/fn/a", "/v1", "/healthz/", "/metrics", "/a b c", `/${"a".repeat(1024)}`].map(http),
  ...["* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "*-3 * * * *"].map(
    timer,
  ),
  ...["a * * * *", "1, * * * *", "@daily", ""].map(timer),
];

/** What only the parser can know. */
const ONLY_PARSER: readonly string[] = [
  fn("memory: 1MiB"),
  fn("memory: 65.5MiB"),
  fn("scaling: { min: 5, max: 1 }"),
  ...["10.0.0.1", "203.0.113.1/24", "1.2.3", "a:99999"].map((to) => app(`{ allow: ["${to}"] }`)),
  fn("scaling: { keepAlive: 1m, freezeAfter: 1m }"),
  http("/{a}/{a}"),
  timer("5-1 * * * *"),
  fn("triggers: [{ http: / }, { http: / }]"),
];

describe("colibri.schema.json", () => {
  test("is the one that is made of the table of keys: tools/write-config-schema.ts writes it", () => {
    assert.equal(TEXT, renderConfigSchema());
  });

  test("takes what the parser takes", () => {
    for (const text of GOOD) {
      assert.deepEqual(mistakesOf(text), [], text);
      assert.deepEqual(errorsOf(text), [], text);
    }
  });

  test("refuses what the parser refuses", () => {
    for (const text of BAD) {
      assert.notDeepEqual(mistakesOf(text), [], `the parser takes ${text}`);
      assert.notDeepEqual(errorsOf(text), [], `the schema takes ${text}`);
    }
  });

  test("leaves the rest to the parser", () => {
    for (const text of ONLY_PARSER) {
      assert.notDeepEqual(mistakesOf(text), [], text);
      assert.deepEqual(errorsOf(text), [], text);
    }
  });

  test("takes the examples and those of the page", () => {
    const page = readFileSync("docs/configuration.md", "utf8");
    const shown = [...page.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = ""]) => text);
    const paths = globSync("examples/*/colibri.yaml");
    const files = paths.map((path) => readFileSync(path, "utf8"));
    // Read in the checkout by editors; where `init` copies them to, it puts the schema beside them.
    for (const text of files)
      assert.match(text, /^# yaml-language-server: \$schema=..\/..\/contract\/config\/colibri.schema.json\n/);
    assert.ok(shown.length > 0 && files.length > 0);
    for (const text of [...shown, ...files]) assert.deepEqual(errorsOf(text), [], text);
  });

  test("tells of every key its title, its meaning and an example or what it may be", () => {
    const told: string[] = [];
    const visit = (schema: Record<string, unknown>) => {
      if (typeof schema.title === "string" && typeof schema.description === "string") told.push(schema.title);
      const { properties = {}, additionalProperties, items, anyOf = [] } = schema;
      const below = [...Object.values(properties as object), additionalProperties, items, ...(anyOf as object[])];
      for (const part of below) if (typeof part === "object" && part !== null) visit(part);
      const isLeaf = schema.type === "string" || schema.type === "integer";
      assert.ok(
        !isLeaf || schema.examples || schema.enum || schema.default !== undefined || schema.pattern,
        `${schema.title}`,
      );
    };
    visit(SCHEMA);
    const keys = [
      ...readFileSync("docs/configuration.md", "utf8").matchAll(/^\| `([a-z][^`]*)` \|[^|]+\|[^|]+\|[^|]+\|[^|]+\|$/gm),
    ];
    for (const [, key = ""] of keys) assert.ok(told.includes(key), `no ${key}`);
  });
});
