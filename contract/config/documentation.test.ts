import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { parseAppConfig } from "./app-config.ts";
import { RUNTIME_FAMILIES } from "./handler.ts";
import { KEYS, type Key } from "./keys.ts";
import { MEANINGS } from "./meanings.ts";
import { formatDuration, formatSize } from "./units.ts";

const PAGE = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
const ROWS = new Map(
  [...PAGE.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)].map(([, key = "", rest = ""]) => [
    key,
    rest.split("|").map((cell) => cell.trim()),
  ]),
);

function spelled(key: Key, value: number): string {
  return key.type === "size" ? formatSize(value) : key.type === "duration" ? formatDuration(value) : String(value);
}

describe("docs/configuration.md", () => {
  for (const key of KEYS as readonly (Key & (typeof KEYS)[number])[]) {
    const name = key.path.replaceAll("*", "<name>");
    test(`explains ${name} as it is`, () => {
      const [type, standard, range, meaning = ""] = ROWS.get(name) ?? [];
      assert.equal(type, key.type, `there is no row for ${name}, or its type differs`);
      assert.equal(meaning, MEANINGS[key.path]);
      if (key.default === undefined) return;
      assert.equal(standard, spelled(key, key.default));
      assert.equal(range, `${spelled(key, key.minimum!)} to ${spelled(key, key.maximum!)}`);
    });
  }

  test("explains no key that is not there", () => {
    const known = KEYS.map((key) => key.path.replaceAll("*", "<name>"));
    const runtimes = RUNTIME_FAMILIES.map(({ name }) => name);
    assert.deepEqual(
      [...ROWS.keys()].filter((name) => !known.includes(name as never) && !runtimes.includes(name)),
      [],
    );
  });

  test("lists the handlers that are looked for", () => {
    for (const { name, handlers } of RUNTIME_FAMILIES) {
      assert.equal(ROWS.get(name)?.[0], handlers.map((file) => `\`${file}\``).join(", "));
    }
  });

  test("has examples that are right", () => {
    const examples = [...PAGE.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text = ""]) => text);
    assert.equal(examples.length, 3);
    for (const text of examples) assert.equal(parseAppConfig(text, { exists: () => true }).kind, "config", text);
  });
});
