import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FixturePlatform, TOKEN } from "../fixture/platform.ts";
import { colibri, onTerminal, temporaryFolder } from "../fixture/run.ts";
import { findConnection } from "./connection.ts";

function writeHome(home: string, files: Record<string, string>): void {
  mkdirSync(join(home, "run"), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
}

describe("where the platform is looked for", () => {
  test("the home's own files, from any folder below", (t) => {
    const folder = temporaryFolder(t);
    const home = join(folder, ".colibri");
    const addresses = { controlUrl: "http://0.0.0.0:7001", functionsUrl: "http://0.0.0.0:7000" };
    writeHome(home, { token: "secret\n", "run/platform.json": JSON.stringify(addresses) });
    mkdirSync(join(folder, "a", "b"), { recursive: true });
    const found = findConnection({ cwd: join(folder, "a", "b"), env: {} });
    assert.equal(found.home.path, home);
    assert.equal(found.control.value, "http://0.0.0.0:7001");
    assert.equal(found.functions.value, "http://0.0.0.0:7000");
    assert.deepEqual(found.token, { value: "secret", from: join(home, "token") });
  });

  test("the default addresses, or those of the ports set", (t) => {
    const cwd = temporaryFolder(t);
    const plain = findConnection({ cwd, env: {} });
    assert.equal(plain.home.path, join(cwd, ".colibri"));
    assert.equal(plain.control.value, "http://127.0.0.1:8081");
    assert.equal(plain.functions.value, "http://127.0.0.1:8080");
    const ports = findConnection({ cwd, env: { COLIBRI_PORT: "1", COLIBRI_CONTROL_PORT: "2" } });
    assert.deepEqual([ports.functions.value, ports.control.value], ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
  });

  test("the token of this machine is not sent to another", (t) => {
    const cwd = temporaryFolder(t);
    writeHome(join(cwd, ".colibri"), { token: "secret" });
    const remote = findConnection({ cwd, env: { COLIBRI_URL: "https://faas.example:9001/" } });
    assert.equal(remote.token, undefined);
    assert.match(remote.tokenMissing, /is not sent to another/);
    assert.equal(remote.control.value, "https://faas.example:9001");
    assert.equal(remote.functions.value, "https://faas.example:8080");
    const local = findConnection({ cwd, env: { COLIBRI_URL: "http://localhost:9001" } });
    assert.equal(local.token?.value, "secret");
  });

  test("an address that is none is named with where it is from", async () => {
    const { code, err } = await onTerminal(["list"], { env: { COLIBRI_URL: "localhost:8081" } });
    assert.equal(code, 2);
    assert.match(err, /COLIBRI_URL: "localhost:8081" is no address/);
  });
});

describe("what is said when it can't be used", () => {
  let platform: FixturePlatform;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
  });
  afterEach(() => platform.stop());

  test("not running here", async (t) => {
    await platform.stop();
    const cwd = temporaryFolder(t);
    writeHome(join(cwd, ".colibri"), { "run/platform.json": JSON.stringify({ controlUrl: platform.url }) });
    const { code, err } = await colibri(["list"], { cwd });
    assert.equal(code, 3);
    assert.match(err, /^error: Colibri is not running here: start it with `colibri serve`\.$/m);
    assert.match(err, new RegExp(`Looked for ${platform.url} \\(from .*platform.json\\): connection refused; home: `));
  });

  test("running, but without control: as told by the lock of a process that lives", async (t) => {
    await platform.stop();
    const cwd = temporaryFolder(t);
    const home = join(cwd, ".colibri");
    const started = readFileSync("/proc/self/stat", "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")[19];
    const addresses = JSON.stringify({ controlUrl: platform.url });
    writeHome(home, { "run/platform.json": addresses, "platform.lock": `${process.pid} ${started}` });
    const { code, err } = await onTerminal(["list"], { cwd, env: {} });
    assert.equal(code, 3);
    assert.match(err, /Colibri runs here, but control does not answer/);
    assert.match(err, new RegExp(`Process ${process.pid} runs on`));
    const { code: unwell, out } = await onTerminal(["doctor"], { cwd, env: { PATH: process.env.PATH ?? "" } });
    assert.deepEqual([unwell, /platform +Colibri runs here, but/.test(out)], [1, true]);
    writeHome(home, { "platform.lock": `${process.pid} 1` });
    assert.match((await onTerminal(["list"], { cwd, env: {} })).err, /Colibri is not running here/);
  });

  test("not reachable there", async () => {
    await platform.stop();
    const { code, err } = await colibri(["list"], { env: { COLIBRI_URL: platform.url } });
    assert.equal(code, 3);
    assert.match(err, /The platform at .* can't be reached \(connection refused\)/);
    assert.match(err, /The address is from COLIBRI_URL/);
  });

  test("no token, and a wrong one: which, and from where", async (t) => {
    const cwd = temporaryFolder(t);
    const env = { COLIBRI_URL: platform.url, COLIBRI_HOME: join(cwd, "home") };
    const none = await onTerminal(["list"], { cwd, env });
    assert.equal(none.code, 4);
    assert.match(none.err, /wants a token: COLIBRI_TOKEN is not set and .*home\/token is not there/);
    assert.match(none.err, /in the folder where the platform was started, or set COLIBRI_HOME/);
    writeHome(join(cwd, "home"), { token: `${TOKEN}x` });
    const wrong = await onTerminal(["list"], { cwd, env });
    assert.equal(wrong.code, 4);
    assert.match(wrong.err, /does not accept the token from .*home\/token/);
    writeHome(join(cwd, "home"), { token: TOKEN });
    assert.equal((await onTerminal(["list"], { cwd, env })).code, 0);
  });

  test("an address with a path too many is told as control tells it", async () => {
    const { code, err } = await onTerminal(["list"], {
      env: { COLIBRI_URL: `${platform.url}/v1`, COLIBRI_TOKEN: TOKEN },
    });
    assert.equal(code, 5);
    assert.match(err, /no such route/);
  });
});
