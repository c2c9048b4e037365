import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { colibri, temporaryFolder } from "../fixture/run.ts";

test("--fire says when the address of what was run is another program's", async (t) => {
  const bodies = ["<html>", "{}", JSON.stringify({ detail: "no", code: "forbidden" })];
  const server = createServer((_, response) => {
    const body = bodies.shift()!;
    response.writeHead(body === "{}" ? 200 : 404).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const TMPDIR = temporaryFolder(t);
  const root = join(TMPDIR, `colibri-dev-${userInfo().uid}`);
  mkdirSync(root, { mode: 0o700 });
  mkdirSync(join(root, "home", "run"), { recursive: true });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const said = { pid: process.pid, url, app: "shop", folder: "/somewhere" };
  writeFileSync(join(root, "home", "run", "dev.json"), JSON.stringify(said));
  for (const body of ["no JSON", "other JSON"]) {
    const { code, err } = await colibri(["dev", "--fire", "shop/tidy"], { env: { TMPDIR } });
    assert.equal(code, 3, body);
    assert.match(err, new RegExp(`At ${url}, where shop was run, another program answers now\\.\\n.*dev /somewhere`));
  }
  const refused = await colibri(["dev", "--fire", "shop/tidy"], { env: { TMPDIR } });
  assert.deepEqual([refused.code, /no/.test(refused.err)], [1, true], refused.err);
});

test("a host is allowed one at a time, and must be one", async (t) => {
  const cwd = temporaryFolder(t);
  const { code, err } = await colibri(["dev", "--allow-host", "a.example.com", "x"], { cwd });
  assert.deepEqual([code, /There is no folder x\./.test(err)], [1, true], err);
  const wrong = await colibri(["dev", "--allow-host", "a.example.com", "--allow-host", "https://b.example.com"], {
    cwd,
  });
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /--allow-host "https:\/\/b\.example\.com" is no host: write its name without scheme/);
});
