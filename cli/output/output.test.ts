import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { createStyle } from "./style.ts";
import { renderFacts, renderTable } from "./table.ts";
import { parseSpan, showAgo, showBytes, showSpan } from "./units.ts";

test("sizes", () => {
  const cases = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1536, "1.5 KiB"],
    [150 * 1024, "150 KiB"],
    [50 * 1024 ** 2, "50.0 MiB"],
    [3 * 1024 ** 4, "3.0 TiB"],
  ] as const;
  for (const [bytes, text] of cases) assert.equal(showBytes(bytes), text);
});

test("spans, there and back", () => {
  const cases = [
    [0.25, "0.3ms"],
    [250, "250ms"],
    [90_000, "1.5m"],
    [86_400_000, "1d"],
  ] as const;
  for (const [ms, text] of cases) assert.equal(showSpan(ms), text);
  assert.equal(parseSpan("10m"), 600_000);
  assert.equal(parseSpan("1.5h"), 5_400_000);
  assert.equal(parseSpan("250ms"), 250);
  for (const text of ["", "10", "m", "-1m", "10 m", "1e3s"]) assert.equal(parseSpan(text), undefined);
});

test("times ago", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");
  assert.equal(showAgo("2026-01-31T11:58:30Z", now), "1m ago");
  assert.equal(showAgo("2026-01-28T12:00:00Z", now), "3d ago");
  assert.equal(showAgo("2026-01-31T12:00:05Z", now), "just now");
  assert.equal(showAgo("soon", now), "soon");
});

test("tables: columns as wide as their widest cell, colours not counted", () => {
  const table = renderTable(
    ["A", "BB"],
    [
      ["xxx", "y"],
      ["é", ""],
    ],
    (_colour, text) => `<${text}>`,
  );
  assert.equal(table, "<A    BB>\nxxx  y\né\n");
  assert.equal(
    renderFacts(
      [
        ["a", "1"],
        ["bb", "2"],
      ],
      (_colour, text) => text,
    ),
    "a   1\nbb  2\n",
  );
});

test("colours on terminals only, as NO_COLOR and FORCE_COLOR say", () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true });
  const styled = (stream: PassThrough, env: Record<string, string>) => createStyle(stream, env)("red", "x") !== "x";
  assert.equal(styled(terminal, {}), true);
  assert.equal(styled(terminal, { NO_COLOR: "1" }), false);
  assert.equal(styled(terminal, { TERM: "dumb" }), false);
  assert.equal(styled(new PassThrough(), {}), false);
  assert.equal(styled(new PassThrough(), { FORCE_COLOR: "1" }), true);
});
