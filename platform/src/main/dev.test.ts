import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readApp } from "#platform/dev/app-file.ts";
import type { DevEvent } from "#platform/dev/index.ts";
import { createDev } from "./dev.ts";

const FILES = {
  "colibri.yaml": "app: shop\nfunctions:\n  f: { runtime: nodejs, handler: index.ts }\n",
  "f/index.ts": "export default () => 1;\n",
};
const folder = mkdtempSync(join(tmpdir(), "colibri-dev-main-"));
const root = join(folder, `colibri-dev-${userInfo().uid}`);
const { TMPDIR } = process.env;
before(() => {
  process.env.TMPDIR = folder;
  mkdirSync(join(folder, "app", "f"), { recursive: true });
  for (const [path, text] of Object.entries(FILES)) writeFileSync(join(folder, "app", path), text);
});
after(() => {
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
  rmSync(folder, { recursive: true });
});

function made() {
  const told: DevEvent[] = [];
  const read = readApp(join(folder, "app"));
  assert.ok(read.kind === "config");
  const dev = createDev(
    {
      ...{ folder: join(folder, "app"), config: read.config, port: 0, watch: true, allowedHosts: [] },
      ...{ environment: process.env, logLevel: "error", writeLog: (line) => void process.stderr.write(line) },
    },
    (event) => told.push(event),
  );
  return { dev, told };
}

/** What it leaves in the app's folder goes with it. */
function nothingIsLeft(): void {
  assert.deepEqual(existsSync(root) ? readdirSync(root) : [], []);
  assert.equal(existsSync(join(folder, "app", "f", ".colibri-dev")), false);
}

test("closed while it is being opened, at any time of that, it leaves nothing", async () => {
  const isThere = (path: string) => () => readdirSync(root).some((home) => existsSync(join(root, home, path)));
  const moments = [() => true, isThere("run/spawner.sock"), isThere("run/agent.sock"), isThere("run/dev.json")];
  for (const moment of moments) {
    const { dev } = made();
    const opened = assert.rejects(dev.open(new AbortController().signal), { message: "dev is closed" });
    let isOver = false;
    void opened.finally(() => {
      isOver = true;
    });
    while (!moment() && !isOver) await new Promise((resolve) => setImmediate(resolve));
    await dev.close();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(isOver);
    nothingIsLeft();
  }
});

test("what an earlier run has left and can't be removed is warned of, and keeps nobody from working", async (t) => {
  const left = join(root, "left");
  mkdirSync(join(left, "agent"), { recursive: true });
  writeFileSync(join(left, "agent", "sandboxes"), "no folder");
  const { dev, told } = made();
  t.after(() => dev.close());
  const { url } = await dev.open(new AbortController().signal);
  assert.equal((await fetch(`${url}/fn/shop/f`)).status, 200);
  const warnings = told.flatMap((event) => (event.kind === "warning" ? [event.text] : []));
  assert.equal(warnings.length, 1, warnings.join());
  assert.match(warnings[0]!, /what an earlier run has left in .*\/left can't be removed: /);
  await dev.close();
  rmSync(left, { recursive: true });
  nothingIsLeft();
});
