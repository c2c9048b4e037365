import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { CASE_KEYS, EXPECT_KEYS, parseCaseFile, REQUEST_KEYS } from "./case-file.ts";

const OPTIONS = {
  functions: ["hello", "greet"],
  find: (path: string) => (path === "photo.jpg" ? "file" : path.startsWith("..") ? "outside" : "absent"),
} as const;

function casesOf(text: string) {
  const parsed = parseCaseFile(text, OPTIONS);
  assert.equal(parsed.kind, "cases", JSON.stringify(parsed));
  return parsed.kind === "cases" ? parsed.cases : [];
}

/** `line:column path: message` each. */
function mistakesOf(text: string): string[] {
  const parsed = parseCaseFile(text, OPTIONS);
  if (parsed.kind === "cases") return [];
  return parsed.mistakes.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

describe("a file of cases", () => {
  test("has everything that can be sent and expected", () => {
    const [one, two] = casesOf(`functions:
  hello:
    - name: everything
      skip: not yet
      request:
        method: put
        path: /items?a=1
        query: { b: "x y", c: 2 }
        headers: { X-Number: 7 }
        json: { list: [1, -2.5, 0x10, true, null, "7"], text: word }
      expect:
        status: 201
        error: function-error
        headers: { Content-Type: /json/ }
        json: [1]
        contains: { a: {} }
        text: 12
        matches: ^a.b$
        file: photo.jpg
        sha256: ${"a".repeat(64)}
        maxMs: 1s
    - { name: little, request: { url: /thumb/7, query: { q: 1 }, file: photo.jpg }, expect: { maxMs: 2.5 } }
`);
    assert.deepEqual([one?.function, one?.name, one?.line, one?.skip], ["hello", "everything", 3, "not yet"]);
    assert.deepEqual(one?.request, {
      method: "PUT",
      path: "/items?a=1&b=x+y&c=2",
      url: undefined,
      headers: { "x-number": "7" },
      body: { kind: "json", value: { list: [1, -2.5, 16, true, null, "7"], text: "word" } },
    });
    const { matches, ...expect } = one!.expect;
    assert.ok(matches?.test("a\nb"));
    assert.deepEqual(expect, {
      status: 201,
      error: "function-error",
      headers: { "content-type": /json/u },
      json: { value: [1] },
      contains: { value: { a: {} } },
      text: "12",
      file: "photo.jpg",
      sha256: "a".repeat(64),
      maxMs: 1_000,
    });
    assert.deepEqual([two?.request.url, two?.request.path], ["/thumb/7?q=1", ""]);
    assert.deepEqual(two?.request.body, { kind: "file", path: "photo.jpg" });
    assert.equal(two?.expect.maxMs, 2.5);
    assert.equal(two?.expect.status, undefined);
  });

  test("aliases stand for what they name, and expected nulls are expected", () => {
    const [one] = casesOf(`functions:
  hello:
    - { name: a, request: { json: &who { name: Ada } }, expect: { json: { echo: *who, none: ~ } } }
`);
    assert.deepEqual(one?.expect.json, { value: { echo: { name: "Ada" }, none: null } });
  });

  const one = (rest: string) => `functions:\n  hello:\n    - { name: a, ${rest} }\n`;
  for (const [what, text, expected] of [
    ["nothing", "", "1:1 : must be a mapping with the key functions"],
    ["no functions", "tests: {}", "1:1 tests: is no key of this file; known here: functions"],
    [
      "an unknown function",
      "functions: { helo: [] }",
      "1:14 functions.helo: is no function of colibri.yaml; did you mean hello?",
    ],
    [
      "no list",
      "functions: { hello: {} }",
      "1:21 functions.hello: must be a list of cases, such as - { name: …, expect: … }",
    ],
    [
      "no name",
      "functions: { hello: [{ expect: {} }] }",
      "1:22 functions.hello[0].name: name is missing: say in it what is tested",
    ],
    [
      "no expect",
      "functions: { hello: [{ name: a }] }",
      "1:22 functions.hello[0].expect: expect is missing: write at least expect: { status: 200 }",
    ],
    [
      "the same name twice",
      "functions: { hello: [{ name: a, expect: {} }, { name: a, expect: {} }] }",
      '1:55 functions.hello[1].name: there is a case "a" of hello already',
    ],
    [
      "an unknown key",
      one("expect: { stats: 200 }"),
      "3:28 functions.hello[0].expect.stats: is no key of this file; did you mean status?",
    ],
    [
      "a status that is none",
      one("expect: { status: 99 }"),
      "3:36 functions.hello[0].expect.status: must be a status from 100 to 599, such as 200",
    ],
    [
      "an error that is none",
      one("expect: { error: function-eror }"),
      '3:35 functions.hello[0].expect.error: there is no error "function-eror"; did you mean function-error?',
    ],
    [
      "a pattern that is none",
      one("expect: { matches: '(' }"),
      "3:37 functions.hello[0].expect.matches: is no regular expression: ",
    ],
    [
      "a pattern of a header that is none",
      one("expect: { headers: { a: b, Content-Type: /(/ } }"),
      "3:59 functions.hello[0].expect.headers.Content-Type: is no regular expression: ",
    ],
    [
      "a file that is elsewhere",
      one("request: { file: ../../etc/passwd }, expect: {}"),
      '3:35 functions.hello[0].request.file: "../../etc/passwd" leads out of the folder of this file: name a file in it',
    ],
    [
      "an expected file that is elsewhere",
      one("expect: { file: ../x }"),
      '3:34 functions.hello[0].expect.file: "../x" leads out of the folder of this file: name a file in it',
    ],
    [
      "a file that is not there",
      one("request: { file: x.png }, expect: {}"),
      '3:35 functions.hello[0].request.file: there is no file "x.png" beside this one',
    ],
    [
      "two bodies",
      one("request: { json: 1, text: a }, expect: {}"),
      "3:44 functions.hello[0].request.text: a request has one body: remove json or text",
    ],
    [
      "a path without /",
      one("request: { path: items }, expect: {}"),
      '3:35 functions.hello[0].request.path: must begin with / or ?, not "items"',
    ],
    [
      "a length that is not the body's",
      one('request: { text: abc, headers: { Content-Length: "999" } }, expect: {}'),
      "3:49 functions.hello[0].request.headers: content-length is set by the body: leave it out",
    ],
    [
      "path and url",
      one("request: { path: /a, url: /b }, expect: {}"),
      "3:44 functions.hello[0].request.url: stands instead of path: remove one of the two",
    ],
    ["no duration", one("expect: { maxMs: soon }"), "3:35 functions.hello[0].expect.maxMs: "],
    ["no digest", one("expect: { sha256: abc }"), "3:36 functions.hello[0].expect.sha256: must be 64 lower-case"],
    [
      "no number of JSON",
      one("expect: { json: .inf }"),
      "3:34 functions.hello[0].expect.json: .inf is no number of JSON",
    ],
    ["no YAML", "functions: [", "1:13 : "],
  ] as const)
    test(`${what} is a mistake with its place`, () => {
      const mistakes = mistakesOf(text);
      assert.ok(
        mistakes.some((mistake) => mistake.startsWith(expected)),
        mistakes.join("\n"),
      );
    });
});

describe("docs/dev.md", () => {
  const page = readFileSync(new URL("../../docs/dev.md", import.meta.url), "utf8");

  test("has an example that is taken", () => {
    const [, example = ""] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    const parsed = parseCaseFile(example, { functions: undefined, find: () => "file" });
    assert.deepEqual(parsed.kind === "mistakes" ? parsed.mistakes : parsed.cases.length, 3);
  });

  test("has every key, and no other", () => {
    const rows = [...page.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = ""]) => cell.match(/[\w.]+/g) ?? []);
    const plain = CASE_KEYS.filter((key) => key !== "request" && key !== "expect");
    const below = [...REQUEST_KEYS.map((key) => `request.${key}`), ...EXPECT_KEYS.map((key) => `expect.${key}`)];
    assert.deepEqual(rows.sort(), [...plain, ...below].sort());
  });
});
