import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAppsFile } from "./apps-file.ts";

test("paths as they are written", () => {
  const parsed = parseAppsFile("# all of them\napps:\n  - ./shop\n  - media/colibri.yaml\n");
  assert.deepEqual(parsed, {
    kind: "apps",
    apps: [
      { path: "./shop", line: 3 },
      { path: "media/colibri.yaml", line: 4 },
    ],
  });
});

test("mistakes are named with their place", () => {
  const cases = [
    ["", /must be a mapping with the key apps/],
    ["- ./shop\n", /must be a mapping with the key apps: a list of folders/],
    ["apps: []\n", /is empty: write a list of folders/],
    ["apps: ./shop\n", /must be a list of folders, such as \[\.\/shop, \.\/media\], not ".\/shop"/],
    ["apps: [./shop, 7]\n", /must be the path of an app's folder, not "7"/],
    ["app: shop\napps: [.]\n", /belongs to an app's own colibri\.yaml/],
    ["aps: [./shop]\n", /is no key of this file; did you mean apps\?/],
    ["{}\n", /apps is missing/],
    [`apps: [${"a, ".repeat(201)}]\n`, /has more than 200 apps/],
    ["apps: [\n", /./],
  ] as const;
  for (const [text, message] of cases) {
    const parsed = parseAppsFile(text);
    assert.equal(parsed.kind, "mistakes", text);
    const mistakes = parsed.kind === "mistakes" ? parsed.mistakes : [];
    assert.match(mistakes.map((mistake) => mistake.message).join("\n"), message, text);
    assert.ok(mistakes.every(({ line, column }) => line >= 1 && column >= 1));
  }
});
