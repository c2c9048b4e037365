import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Check } from "typebox/value";
import { CONFIG } from "../api/function-config.fixture.ts";
import { FunctionConfigSchema } from "../api/resources.ts";
import { type AppConfig, parseAppConfig } from "./app-config.ts";
import { KEYS, type Key, placesOf } from "./keys.ts";
import { formatDuration, formatSize } from "./units.ts";

const everything = () => true;

function configOf(text: string, exists: (path: string) => boolean = everything): AppConfig {
  const parsed = parseAppConfig(text, { exists });
  assert.deepEqual(parsed.kind === "mistakes" ? parsed.mistakes : [], []);
  return (parsed as { config: AppConfig }).config;
}

/** `line:column path message` of each mistake. */
function mistakesOf(text: string, exists: (path: string) => boolean = everything): string[] {
  const parsed = parseAppConfig(text, { exists });
  assert.equal(parsed.kind, "mistakes", "it was accepted");
  const { mistakes } = parsed as Extract<typeof parsed, { kind: "mistakes" }>;
  return mistakes.map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`);
}

/** A function `f` with one line of configuration more. */
function withLine(line: string, runtime = "nodejs"): string {
  return `app: a\nfunctions:\n  f:\n    runtime: ${runtime}\n    ${line}\n`;
}

describe("colibri.yaml", () => {
  test("the smallest one gets every default", () => {
    assert.deepEqual(configOf("app: shop\nfunctions: { f: { runtime: nodejs } }"), {
      app: "shop",
      network: { kind: "internet" },
      functions: {
        f: {
          source: "f",
          config: CONFIG,
        },
      },
    });
  });

  test("every key is read", () => {
    const { config, source } = configOf(FULL).functions.thumb!;
    assert.equal(source, "code/thumb");
    assert.deepEqual(config, {
      runtime: "python3.11",
      handler: "app.py#run",
      memoryMiB: 1536,
      timeoutMs: 90_000,
      initTimeoutMs: 500,
      concurrency: 4,
      execution: "threads",
      environment: { REGION: "south", QUALITY: "80", HEX: "0x10", RATIO: "1.10", ON: "true", EMPTY: "", ONLY: "app" },
      build: { installScripts: ["sharp", "@scope/a"] },
      policy: {
        scaling: { min: 1, max: 50, keepAliveMs: 7_200_000, freezeAfterMs: 1_800_000 },
        queue: { length: 0, timeoutMs: 1_500 },
        limits: { bodyBytes: 64 },
        triggers: [
          { http: "GET /thumb/{id}", host: "a.example" },
          { http: "/all/{rest*}" },
          { timer: "*/5 0-6 1 jan mon" },
        ],
      },
    });
    assert.ok(Check(FunctionConfigSchema, config));
  });

  test("when idle sandboxes are frozen: as written, where they live long enough, or never", () => {
    const frozen = (scaling: string) => {
      const { policy } = configOf(withLine(`scaling: { ${scaling} }`)).functions.f!.config;
      return policy.scaling.freezeAfterMs;
    };
    assert.equal(frozen("max: 1"), 60_000);
    assert.equal(frozen("freezeAfter: 2m"), 120_000);
    assert.equal(frozen("freezeAfter: never"), undefined);
    assert.equal(frozen("keepAlive: 60s"), undefined);
    assert.equal(frozen("keepAlive: 61s"), 60_000);
    assert.equal(frozen("keepAlive: 0ms, min: 1"), 60_000);
    assert.equal(frozen("keepAlive: 1m, freezeAfter: 1h, min: 1"), 3_600_000);
  });

  test("timers are kept with a warning", () => {
    const parsed = parseAppConfig(FULL, { exists: everything });
    assert.deepEqual(parsed.kind === "config" && parsed.warnings, [
      {
        code: "timers-not-fired",
        text: "functions.thumb.triggers: timers are kept but not fired by this version",
      },
    ]);
  });

  test("anchors, merge keys and x- keys spare repetition", () => {
    const text = `app: a
x-defaults: &defaults { runtime: python, memory: 1GiB, env: { A: 1 } }
functions:
  one: { <<: *defaults, memory: 64MiB }
  two: *defaults
  three: { <<: [ { timeout: 1s }, *defaults ] }`;
    const { one, two, three } = configOf(text).functions;
    assert.deepEqual([one!.config.memoryMiB, two!.config.memoryMiB, three!.config.memoryMiB], [64, 1024, 1024]);
    assert.deepEqual([one!.config.environment, three!.config.timeoutMs], [{ A: "1" }, 1_000]);
  });

  test("a handler that is not named is looked for", () => {
    const text = "app: a\nfunctions:\n  f: { runtime: nodejs, source: . }\n  g: { runtime: python }";
    const { f, g } = configOf(text, (path) => [".", "g", "index.ts", "g/main.py"].includes(path)).functions;
    assert.deepEqual([f!.config.handler, f!.source, g!.config.handler], ["index.ts", ".", "main.py"]);
  });

  test("a function may be called as its keys are", () => {
    const text = "app: a\nfunctions:\n  queue: { runtime: nodejs }\n  env: { handler: index.mjs, runtime: nodejs }";
    assert.deepEqual(Object.keys(configOf(text).functions), ["queue", "env"]);
  });

  test("variables with names that objects have themselves are kept", () => {
    const { environment } = configOf(withLine("env: { __proto__: x, constructor: y }")).functions.f!.config;
    assert.deepEqual(Object.entries(environment), [
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });

  test("slots that are processes are fewer, unless their number is said", () => {
    const sizes = ["", "concurrency: 9"].flatMap((more) =>
      ["loop", "process"].map((execution) => {
        const text = `app: shop\nfunctions:\n  f:\n    runtime: nodejs\n    execution: ${execution}\n    ${more}\n`;
        return configOf(text).functions.f?.config.concurrency;
      }),
    );
    assert.deepEqual(sizes, [20, 4, 9, 9]);
  });

  test("the examples of this repository are right", () => {
    for (const example of ["hello", "summary", "thumbnails"]) {
      configOf(readFileSync(new URL(`../../examples/${example}/colibri.yaml`, import.meta.url), "utf8"));
    }
  });
});

const FULL = `app: shop
env: { REGION: north, ONLY: app }
functions:
  thumb:
    runtime: python3.11
    source: ./code//thumb/
    handler: app.py#run
    memory: 1.5GiB
    timeout: 1.5m
    initTimeout: 500ms
    concurrency: 4
    execution: threads
    env: { REGION: south, QUALITY: 80, HEX: 0x10, RATIO: 1.10, ON: true, EMPTY: "" }
    scaling: { min: 1, max: 50, keepAlive: 2h, freezeAfter: 30m }
    queue: { length: 0, timeout: 1500ms }
    limits: { body: 64B }
    build: { installScripts: [sharp, "@scope/a"] }
    triggers:
      - { http: "GET /thumb/{id}", host: a.example }
      - http: /all/{rest*}
      - timer: "*/5 0-6 1 jan mon"
`;

const RIGHT = "starting and ending with a letter or digit";

/** What is written, and what is said of it. */

const WRONG: readonly (readonly [string, string, string])[] = [
  ["an empty file", "", "1:1  must be a mapping with the keys app and functions, not nothing"],
  ["a list", "- a", "1:1  must be a mapping with the keys app and functions, not a list"],
  [
    "no app",
    "functions: { f: { runtime: nodejs } }",
    "1:1 app app is missing: write app: and a name, such as app: shop",
  ],
  [
    "no functions",
    "app: a",
    "1:1 functions functions is missing: write functions: and below it a mapping from each function's name to its configuration",
  ],
  [
    "empty functions",
    "app: a\nfunctions: {}",
    "2:12 functions is empty: write a mapping from each function's name to its configuration",
  ],
  [
    "a bad app",
    "app: My_Shop\nfunctions: { f: { runtime: nodejs } }",
    `1:6 app "My_Shop" is not a name: it must be lower-case letters, digits and hyphens, 1 to 63 characters, ${RIGHT}; perhaps my-shop`,
  ],
  [
    "a bad name",
    "app: a\nfunctions: { F: { runtime: nodejs } }",
    `2:14 functions.F "F" is not a name: it must be lower-case letters, digits and hyphens, 1 to 63 characters, ${RIGHT}; perhaps f`,
  ],
  ["an unknown key", withLine("memry: 64MiB"), "5:5 functions.f.memry is no key of this file; did you mean memory?"],
  [
    "a key elsewhere",
    withLine("keepAlive: 1s"),
    "5:5 functions.f.keepAlive is no key of this file; it belongs to functions.<name>.scaling.keepAlive",
  ],
  [
    "a strange key",
    "zzzzzzz: 1\napp: a\nfunctions: { f: { runtime: nodejs } }",
    "1:1 zzzzzzz is no key of this file; known here: app, env, network, functions",
  ],
  [
    "no runtime",
    "app: a\nfunctions:\n  f: { handler: x.py }",
    "3:3 functions.f.runtime runtime is missing: write runtime: and one of nodejs, python",
  ],
  [
    "another's runtime",
    withLine("", "node24"),
    '4:14 functions.f.runtime there is no runtime "node24"; did you mean nodejs24?',
  ],
  ["a typo", withLine("", "pyton"), '4:14 functions.f.runtime there is no runtime "pyton"; did you mean python?'],
  [
    "a strange runtime",
    withLine("", "cobol"),
    '4:14 functions.f.runtime there is no runtime "cobol"; use one of nodejs, python',
  ],
  ...["java", "go", "process", "image", "fdk", "java21"].map((name): [string, string, string] => [
    `runtime ${name}`,
    withLine("", name),
    `4:14 functions.f.runtime "${name}" is not part of this version: use one of nodejs, python`,
  ]),
  [
    "a number as text",
    withLine("timeout: 30"),
    '5:14 functions.f.timeout "30" has no unit: write 30s, or another of ms, s, m, h',
  ],
  [
    "a strange duration",
    withLine("timeout: soon"),
    '5:14 functions.f.timeout "soon" is not a duration: write a number and a unit, such as 30s',
  ],
  ["days", withLine("timeout: 1d"), '5:14 functions.f.timeout "d" in "1d" is not a unit of time: use ms, s, m or h'],
  [
    "seconds spelled out",
    withLine("timeout: 30 seconds"),
    '5:14 functions.f.timeout "seconds" in "30 seconds" is not a unit of time: write 30s',
  ],
  [
    "part of a millisecond",
    withLine("timeout: 100.5ms"),
    '5:14 functions.f.timeout "100.5ms" is not a whole number of milliseconds',
  ],
  ["too long", withLine("timeout: 25h"), "5:14 functions.f.timeout is out of range: it must be from 100ms to 24h"],
  [
    "a decimal size",
    withLine("memory: 64MB"),
    '5:13 functions.f.memory "MB" in "64MB" is not a unit of size (decimal units are not taken): write 64MiB',
  ],
  [
    "a lower-case size",
    withLine("memory: 64mib"),
    '5:13 functions.f.memory "mib" in "64mib" is not a unit of size: write 64MiB',
  ],
  [
    "no unit",
    withLine("memory: 128"),
    '5:13 functions.f.memory "128" has no unit: write 128MiB, or another of B, KiB, MiB, GiB',
  ],
  ["part of a MiB", withLine("memory: 65537KiB"), "5:13 functions.f.memory must be a whole number of MiB"],
  ["too small", withLine("memory: 1MiB"), "5:13 functions.f.memory is out of range: it must be from 64MiB to 64GiB"],
  [
    "a list as size",
    withLine("memory: [1]"),
    "5:13 functions.f.memory must be a size from 64MiB to 64GiB, such as 128MiB, not a list",
  ],
  [
    "a quoted number",
    withLine('concurrency: "5"'),
    '5:18 functions.f.concurrency must be a whole number, not "5": write it without quotes: 5',
  ],
  [
    "part of a slot",
    withLine("concurrency: 1.5"),
    '5:18 functions.f.concurrency must be a whole number, not "1.5": write digits only',
  ],
  ["no slot", withLine("concurrency: 0"), "5:18 functions.f.concurrency is out of range: it must be from 1 to 1000"],
  [
    "nothing",
    withLine("concurrency:"),
    "5:5 functions.f.concurrency must be a whole number from 1 to 1000, such as 20, not nothing",
  ],
  [
    "min over max",
    withLine("scaling: { min: 3, max: 2 }"),
    "5:21 functions.f.scaling.min min (3) must not be greater than max (2)",
  ],
  [
    "frozen after it is gone",
    withLine("scaling: { freezeAfter: 5m }"),
    "5:29 functions.f.scaling.freezeAfter must be less than keepAlive (5m), after which idle sandboxes go, or never",
  ],
  [
    "frozen at once",
    withLine("scaling: { freezeAfter: 500ms }"),
    "5:29 functions.f.scaling.freezeAfter is out of range: it must be from 1s to 24h, or never",
  ],
  [
    "frozen not at all, in other words",
    withLine("scaling: { freezeAfter: off }"),
    '5:29 functions.f.scaling.freezeAfter "off" is not a duration: write a number and a unit, such as 30s, or never',
  ],
  [
    "a number for a mapping",
    withLine("queue: 5"),
    '5:12 functions.f.queue must be a mapping such as { length: … }, not "5"',
  ],
  [
    "threads for Node",
    withLine("execution: threads"),
    "5:16 functions.f.execution nodejs does not run its slots as threads: use loop (all slots on one event loop) or process (each slot in a process of its own)",
  ],
  [
    "a strange execution",
    withLine("execution: fast"),
    '5:16 functions.f.execution must be loop or threads or process, not "fast"',
  ],
  [
    "a reserved variable",
    withLine("env: { COLIBRI_X: 1 }"),
    "5:12 functions.f.env.COLIBRI_X begins with COLIBRI_, which is reserved for the platform: rename it",
  ],
  [
    "a bad variable",
    withLine("env: { 1A: x }"),
    "5:12 functions.f.env.1A is no name of a variable: use letters, digits and _, not starting with a digit",
  ],
  [
    "a list as variable",
    withLine("env: { A: [1] }"),
    "5:12 functions.f.env.A must be text, not a list: write it as text, in quotes",
  ],
  [
    "no value",
    withLine("env: { A: }"),
    '5:12 functions.f.env.A must be text, not nothing: write "" for an empty value',
  ],
  [
    "a NUL",
    withLine('env: { A: "\\0" }'),
    "5:12 functions.f.env.A contains a NUL character, which no environment can hold",
  ],
  [
    "an absolute source",
    withLine("source: /etc"),
    '5:13 functions.f.source must be a folder relative to this file, such as ./f, not "/etc"',
  ],
  [
    "a handler outside",
    withLine("handler: ../x.mjs"),
    '5:14 functions.f.handler "../x.mjs" must lie inside the function\'s folder: write a relative path without "..", such as index.mjs',
  ],
  [
    "another's handler",
    withLine("handler: app.main", "python"),
    '5:14 functions.f.handler "app.main" is no file of python (.py): write the file with its ending, such as app.py#main',
  ],
  [
    "a bad export",
    withLine("handler: index.mjs#a-b"),
    '5:14 functions.f.handler "index.mjs#a-b" has "a-b" after "#", which is no name of an export',
  ],
  [
    "a strange package",
    withLine("build: { installScripts: [a b] }"),
    '5:31 functions.f.build.installScripts[0] "a b" is no name of a package: write it without version, such as sharp',
  ],
  [
    "neither trigger",
    withLine("triggers: [{}]"),
    '5:16 functions.f.triggers[0] must have either http or timer: write { http: GET /thumb } or { timer: "*/5 * * * *" }',
  ],
  [
    "a trigger as text",
    withLine("triggers: [GET /x]"),
    '5:16 functions.f.triggers[0] must be a mapping such as { http: GET /thumb } or { timer: "*/5 * * * *" }, not "GET /x"',
  ],
  [
    "a path without slash",
    withLine("triggers: [{ http: GET x }]"),
    '5:24 functions.f.triggers[0].http the path "x" must start with "/"',
  ],
  [
    "a strange method",
    withLine("triggers: [{ http: FETCH /x }]"),
    '5:24 functions.f.triggers[0].http "FETCH" is not a method: use one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, or * for all',
  ],
  [
    "a reserved path",
    withLine("triggers: [{ http: /fn/x }]"),
    '5:24 functions.f.triggers[0].http the path "/fn/x" begins with a reserved prefix (/fn, /healthz, /v1, /console, /metrics): choose another',
  ],
  [
    "half a parameter",
    withLine('triggers: [{ http: "/a{x}" }]'),
    '5:24 functions.f.triggers[0].http "a{x}" in "/a{x}" is neither plain text nor a parameter such as {id} that fills its segment',
  ],
  [
    "rest not last",
    withLine('triggers: [{ http: "/{x*}/a" }]'),
    '5:24 functions.f.triggers[0].http {x*} in "/{x*}/a" takes the rest of the path, so it must come last',
  ],
  [
    "a parameter twice",
    withLine('triggers: [{ http: "/{x}/{x}" }]'),
    '5:24 functions.f.triggers[0].http the parameter {x} occurs twice in "/{x}/{x}"',
  ],
  [
    "a host with a port",
    withLine('triggers: [{ http: /x, host: "a:80" }]'),
    '5:24 functions.f.triggers[0].http "a:80" is not a host name: write it without scheme, port or wildcard, such as shop.example.com',
  ],
  [
    "four fields",
    withLine('triggers: [{ timer: "* * * *" }]'),
    '5:25 functions.f.triggers[0].timer "* * * *" is not a timer: write five cron fields (minute hour day month weekday), such as "*/5 * * * *"',
  ],
  [
    "minute 60",
    withLine('triggers: [{ timer: "60 * * * *" }]'),
    '5:25 functions.f.triggers[0].timer "60 * * * *" is not a timer: its minute "60" must be *, numbers from 0 to 59, ranges a-b or steps */n',
  ],
  [
    "a path twice",
    withLine('triggers: [{ http: "/{a}" }, { http: "/{b}" }]'),
    "5:42 functions.f.triggers[1].http is claimed twice: this function has the same method, host and path already",
  ],
  ["a tab", "app: a\nfunctions:\n\tf: 1", "3:1  a tab indents this line: YAML takes spaces only"],
  ["a key twice", "app: a\napp: b", "2:1  this key is given twice in the same mapping: remove one of the two"],
  [
    "an open bracket",
    "app: a\nfunctions: [",
    "2:13  a [ or { before this place is not closed, or what is in it not indented",
  ],
  [
    "braces without quotes",
    "app: { a: x {y} }",
    '1:13  a text with brackets or quotes in it must be in quotes as a whole, such as "GET /thumb/{id}" (Unexpected flow-map-start at node end)',
  ],
  ...[
    ["app: a\nfunctions:\n  f: { runtime: nodejs handler: index.mjs }", "3:23"],
    ['app: a\nfunctions: { f: { env: { A: "b" C: d } } }', "2:32"],
    ["app: a\nfunctions:\n  f: { env: { A: b\n    C: d } }", "3:19"],
    ["app: a\nfunctions: { f: { triggers: [{ http: /x } { http: /y }] } }", "2:42"],
    ['app: a\nfunctions: { f: { build: { installScripts: ["a" "b"] } } }', "2:48"],
  ].map(([text = "", place = ""], index): [string, string, string] => [
    `a missing comma, ${index + 1}`,
    text,
    `${place}  a comma is missing here: the entries of { } and [ ] stand between commas`,
  ]),
  [
    "a mapping in brackets without its own",
    "app: a\nfunctions: { f:\n    runtime: nodejs }",
    "3:5  within { } or [ ] a mapping needs { } of its own, with a comma between its entries",
  ],
  [
    "a function's keys beside its name",
    "app: a\nfunctions:\n  f:\n  runtime: nodejs\n  handler: index.mjs\n  memory: 1GiB",
    "4:3 functions.runtime is no function: runtime is a key of a function, and so are handler, memory; indent them further, under f",
  ],
  [
    "a function's keys without its name",
    "app: a\nfunctions:\n  queue: { length: 1 }",
    "3:3 functions.queue is no function: queue is a key of a function; write the function's name and a colon above, and indent it further",
  ],
  [
    "a key of a level below, misspelt",
    withLine("keep-alive: 5m"),
    "5:5 functions.f.keep-alive is no key of this file; did you mean scaling.keepAlive?",
  ],
  ["no anchor", "app: *nope", "1:6  there is no &nope before this *nope: a text that begins with * must be in quotes"],
  ["two documents", "app: a\n---\napp: b", "2:1  a second document begins: the file must hold one, without ---"],
];

describe("mistakes", () => {
  for (const [what, text, message] of WRONG) {
    test(what, () => assert.deepEqual(mistakesOf(text), [message]));
  }

  test("a path that another function claims", () => {
    const text = "app: a\nfunctions:\n  f: &f { runtime: nodejs, triggers: [{ http: /x }] }\n  g: *f";
    assert.match(mistakesOf(text).join("\n"), /functions.g.triggers\[0\].http is claimed twice: function f has/);
  });

  test("folders and files that are not there", () => {
    const text = withLine("handler: a.mjs");
    assert.deepEqual(
      mistakesOf(text, () => false),
      [
        '3:3 functions.f.source there is no folder "f" beside this file: make it, or name the function\'s folder with source:',
      ],
    );
    assert.deepEqual(
      mistakesOf(text, (path) => path === "a.mjs"),
      [
        '3:3 functions.f.source there is no folder "f" beside this file: the handler lies right beside this file, so write "source: ."',
      ],
    );
    assert.deepEqual(
      mistakesOf(text, (path) => path === "f"),
      ['5:14 functions.f.handler there is no file "f/a.mjs" beside this one'],
    );
    assert.deepEqual(
      mistakesOf(withLine(""), (path) => path === "f"),
      [
        '3:3 functions.f.handler handler is missing, and none of index.mjs, index.js, index.cjs, index.ts, index.mts is in "f": name the file with handler:',
      ],
    );
  });

  test("all are told at once, in the order of the text", () => {
    const found = mistakesOf("app: A\nfunctions:\n  f: { runtime: x, memory: 1, timeout: 2 }\n  G: {}\n");
    assert.deepEqual(
      found.map((mistake) => mistake.split(" ", 1)[0]),
      ["1:6", "3:17", "3:28", "3:40", "4:3", "4:3"],
    );
  });

  test("a thousand mistakes are counted, not listed", () => {
    const found = mistakesOf(`app: a\nfunctions:\n${Array.from({ length: 500 }, (_, i) => `  f${i}: 1\n`).join("")}`);
    assert.equal(found.length, 51);
    assert.match(found[50]!, /and 450 more mistakes/);
  });

  test("what is written is not repeated without end", () => {
    const found = mistakesOf(withLine(`memory: 1${"x".repeat(5_000)}`));
    assert.ok(found[0]!.length < 600, found[0]);
  });

  test("a file of more than a MiB is not read", () => {
    assert.deepEqual(mistakesOf("#".repeat(1024 ** 2 + 1)), [
      "1:1  the file is larger than 1048576 bytes: a configuration is not that long",
    ]);
  });

  test("aliases can't multiply what is read", () => {
    const env = Array.from({ length: 900 }, (_, i) => `A${i}: 1`).join(", ");
    const functions = Array.from({ length: 900 }, (_, i) => `  f${i}: *f\n`).join("");
    const found = mistakesOf(`app: a\nx-f: &f { runtime: nodejs, env: { ${env} } }\nfunctions:\n${functions}`);
    assert.match(found.join("\n"), /the file repeats itself too often by aliases/);
  });

  test("nesting without end is a mistake, not a crash", () => {
    assert.match(mistakesOf("[".repeat(50_000))[0]!, /nested too deeply/);
    const itself = "app: a\nfunctions:\n  f: &f { <<: *f, runtime: nodejs }";
    assert.match(mistakesOf(itself)[0]!, /functions.f.<< must name a mapping that has no << itself/);
  });
});

describe("the table of keys", () => {
  const quantities: readonly Key[] = KEYS.filter((key) => "default" in key);
  /** What makes the whole range right. */
  const beside: Record<string, string> = { "scaling.min": ", max: 10000", "scaling.freezeAfter": ", min: 1" };
  for (const key of quantities) {
    const spelled = (value: number) =>
      (({ size: formatSize, duration: formatDuration })[key.type as string] ?? String)(value);
    const name = key.path.replace("functions.*.", "");
    const line = (value: number) =>
      name.split(".").length === 1
        ? `${name}: ${spelled(value)}`
        : `${name.split(".")[0]}: { ${name.split(".")[1]}: ${spelled(value)}${beside[name] ?? ""} }`;

    test(`${name}: what it allows, the control API allows, and nothing beyond`, () => {
      for (const value of [key.minimum!, key.maximum!, key.default!]) {
        assert.ok(
          Check(FunctionConfigSchema, configOf(withLine(line(value))).functions.f!.config),
          `${name} = ${value}`,
        );
      }
      assert.match(
        mistakesOf(withLine(line(key.maximum! + (key.type === "size" ? 1024 ** 2 : 1))))[0]!,
        /out of range/,
      );
    });
  }

  test("a key's places are found", () => {
    assert.deepEqual(placesOf("keepAlive"), ["functions.*.scaling.keepAlive"]);
  });
});
