// Nobody gets in without the token or from elsewhere, and what is sent in can't get out of its place.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type Operation, ROUTES, type Route } from "#contract/api/routes.ts";
import { patched, tarOf } from "#platform/builder/archive/archive.fixture.ts";
import { call } from "./http.ts";
import { node, type Platform, startPlatform, until } from "./platform.ts";
import { processesOf } from "./processes.ts";

const MIB = 1024 * 1024;

let platform: Platform;
before(async () => {
  platform = await startPlatform();
  await platform.deploy("app", {
    secrets: node("export default () => ({ environment: process.env, argv: process.argv });", { env: { MINE: "yes" } }),
  });
});
after(() => platform?.close());

describe("the token", () => {
  const OPEN: readonly Operation[] = ["getOpenapi", "getLiveness"];
  const example: Record<string, string> = { tenant: "default", app: "app", function: "secrets", id: "x", digest: "x" };
  const pathOf = ({ path }: Route) => path.replaceAll(/:(\w+)/g, (_, name: string) => example[name]!);

  test("is asked for on every route but the two open ones, before anything else is looked at", async () => {
    for (const [operation, route] of Object.entries(ROUTES) as [Operation, Route][]) {
      for (const authorization of [undefined, "Bearer ", "Bearer wrong", `Basic ${platform.token}`]) {
        const headers = authorization === undefined ? {} : { authorization };
        const { status } = await call(platform.controlUrl + pathOf(route), { method: route.method, headers });
        assert.equal(status, OPEN.includes(operation) ? 200 : 401, `${operation} with ${authorization}`);
      }
    }
  });

  test("wrong in the command line's environment is exit code 4", async () => {
    const child = platform.place.spawnProgram(
      process.execPath,
      [join(import.meta.dirname, "..", "..", "bin", "colibri"), "list"],
      platform.place.work,
      { COLIBRI_TOKEN: "colibri_wrong", COLIBRI_URL: platform.controlUrl },
    );
    assert.equal(await new Promise((resolve) => child.once("close", resolve)), 4);
  });

  test("is readable only by its owner, as is all of the home", () => {
    assert.equal(statSync(join(platform.home, "token")).mode & 0o777, 0o600);
    assert.equal(statSync(platform.home).mode & 0o777, 0o700);
    for (const name of ["run", "control", "agent", "gateway", "logs"])
      assert.equal(statSync(join(platform.home, name)).mode & 0o077, 0, `others may enter ${name}`);
  });

  test("is not among what functions see of their environment", async () => {
    const { text, json } = await platform.call("app/secrets");
    assert.equal(json.environment.MINE, "yes");
    assert.ok(!text.includes(platform.token));
    assert.deepEqual(
      Object.keys(json.environment).filter((name) => name.startsWith("COLIBRI")),
      [],
    );
  });
});

describe("the network", () => {
  test("every port that the platform listens on is of the loopback address, but for that where sandboxes ask for names", () => {
    const listening = listenersOf(platform.home).filter(({ address }) => !isOfSandboxes(address));
    const ports = [platform.functionsUrl, platform.controlUrl].map((url) => Number(new URL(url).port));
    assert.deepEqual(listening.map(({ port }) => port).sort(), ports.sort());
    for (const { address } of listening) assert.equal(address, "0100007F");
  });

  test("control answers to no other name than those of this machine: pages of elsewhere can't reach it by rebinding", async () => {
    for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8081", "10.0.0.1"]) {
      const { status } = await platform.api("/v1/health", { headers: { host } });
      assert.ok(status >= 400 && status < 500, `${host}: ${status}`);
      assert.notEqual((await call(`${platform.controlUrl}/healthz`, { headers: { host } })).status, 200);
    }
    const port = new URL(platform.controlUrl).port;
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
      assert.equal((await platform.api("/v1/health", { headers: { host } })).status, 200, host);
  });

  test("pages of elsewhere may not read control's answers", async () => {
    const { headers } = await platform.api("/v1/health", { headers: { origin: "https://evil.example" } });
    assert.equal(headers["access-control-allow-origin"], undefined);
  });
});

/** In 100.64.0.0/10, on a link that only sandboxes have; the kernel writes the first byte last. */
function isOfSandboxes(address: string): boolean {
  const [second, first] = [address.slice(4, 6), address.slice(6)].map((byte) => Number.parseInt(byte, 16));
  return first === 100 && second! >= 64 && second! < 128;
}

/** TCP sockets in the state LISTEN of the platform's processes; addresses as the kernel writes them. */
function listenersOf(home: string): { address: string; port: number }[] {
  const sockets = new Set(processesOf(home).flatMap(({ pid }) => socketsOf(pid)));
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "latin1")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === "0A" && sockets.has(inode ?? ""))
      .map(([, local = ""]) => local.split(":"))
      .map(([address = "", port = ""]) => ({ address, port: Number.parseInt(port, 16) })),
  );
}

function socketsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // It was closed meanwhile.
    }
  });
}

describe("hostile archives", () => {
  const file = { name: "index.mjs", content: "export default () => 1;" };
  const HOSTILE: Record<string, { make: () => Promise<Buffer>; code: string; message: RegExp }> = {
    "a path that climbs out": {
      make: () => tarOf([file, { name: "../../../escaped", content: "x" }]),
      code: "archive-unsafe",
      message: /\.\.\/\.\.\/\.\.\/escaped/,
    },
    "an absolute path": {
      make: () => tarOf([file, { name: "/tmp/colibri-escaped", content: "x" }]),
      code: "archive-unsafe",
      message: /\/tmp\/colibri-escaped/,
    },
    "a link out, and a file through it": {
      make: () =>
        tarOf([file, { name: "out", type: "symlink", linkname: "../../.." }, { name: "out/escaped", content: "x" }]),
      code: "archive-unsafe",
      message: /out/,
    },
    "a hard link out": {
      make: () => tarOf([file, { name: "passwords", type: "link", linkname: "/etc/passwd" }]),
      code: "archive-unsafe",
      message: /\/etc\/passwd/,
    },
    "a device": {
      make: () => tarOf([file, { name: "disk", type: "block-device" }]),
      code: "archive-unsafe",
      message: /disk/,
    },
    "a pipe": {
      make: () => tarOf([file, { name: "pipe", type: "fifo" }]),
      code: "archive-unsafe",
      message: /pipe/,
    },
    "a bomb": {
      make: async () => gzipSync(await tarOf([file, { name: "zeros", content: Buffer.alloc(40 * MIB) }])),
      code: "archive-unsafe",
      message: /more than 200 bytes for each of its own/,
    },
    "a file that says it is of 384 MiB": {
      make: async () => patched(await tarOf([{ name: "large", content: "x" }]), 124, "03000000000\0"),
      code: "archive-too-large",
      message: /"large" .* 402653184 bytes/,
    },
    "too many folders in each other": {
      make: () => tarOf([file, { name: `${"deep/".repeat(100)}file`, content: "x" }]),
      code: "archive-unsafe",
      message: /64/,
    },
    "something cut short": {
      make: async () => (await tarOf([file, { name: "more", content: "x".repeat(5000) }])).subarray(0, 2500),
      code: "archive-unsafe",
      message: /./,
    },
    "no archive at all": {
      make: async () => Buffer.from("#!/bin/sh\nrm -rf /\n"),
      code: "archive-unsafe",
      message: /./,
    },
  };

  test("are refused with their reason, leave nothing behind, and honest ones are taken before and after", async () => {
    assert.equal((await deploySource(await tarOf([file]))).state, "done");
    for (const [name, { make, code, message }] of Object.entries(HOSTILE)) {
      const { state, functions } = await deploySource(await make());
      assert.equal(state, "failed", name);
      assert.equal(functions[0].error.code, code, `${name}: ${functions[0].error.message}`);
      assert.match(functions[0].error.message, message, name);
    }
    assert.deepEqual(
      filesBelow(join(platform.home, "build")).filter((path) => !path.startsWith("cache")),
      [],
    );
    const everywhere = filesBelow(platform.place.folder).concat(readdirSync("/tmp"));
    assert.deepEqual(
      everywhere.filter((path) => path.includes("escaped")),
      [],
    );
    assert.equal((await platform.call("hostile/fn")).text, "1");
  });

  test("bytes that are not what their address says are not kept", async () => {
    const digest = `sha256:${"0".repeat(64)}`;
    const path = `/v1/tenants/default/uploads/${digest}`;
    const { status, json } = await platform.api(path, { method: "PUT", body: await tarOf([file]) });
    assert.deepEqual([status, json.code], [400, "digest-mismatch"]);
    assert.equal((await platform.api(path, { method: "HEAD" })).status, 404);
  });
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" });
}

/** Over the API, past what the command line would not do. */
// biome-ignore lint/suspicious/noExplicitAny: a deployment, looked at by the test
async function deploySource(source: Buffer): Promise<any> {
  const digest = `sha256:${createHash("sha256").update(source).digest("hex")}`;
  const uploaded = await platform.api(`/v1/tenants/default/uploads/${digest}`, { method: "PUT", body: source });
  assert.equal(uploaded.status, 201, uploaded.text);
  const { json: fn } = await platform.api("/v1/tenants/default/apps/app/functions/secrets");
  const body = JSON.stringify({ app: "hostile", functions: { fn: { config: fn.config, source: digest } } });
  const headers = { "content-type": "application/json" };
  const created = await platform.api("/v1/tenants/default/deployments", { headers, body });
  assert.equal(created.status, 202, created.text);
  return until("the deployment ends", async () => {
    const { json } = await platform.api(`/v1/tenants/default/deployments/${created.json.id}`);
    return json.finishedAt !== undefined && json;
  });
}

describe("names with tricks in them", () => {
  const TRICKS = ["..", "%2e%2e", "..%2f..%2fetc", "%2e%2e%2fother", "a%00b", "UPPER", "a_b", "-a", "a".repeat(64)];

  test("are no tenants, apps or functions", async () => {
    for (const trick of TRICKS)
      for (const path of [
        `/v1/tenants/${trick}/apps`,
        `/v1/tenants/default/apps/${trick}`,
        `/v1/tenants/default/apps/app/functions/${trick}/logs`,
      ]) {
        const { status } = await platform.api(path);
        assert.ok(status === 400 || status === 404, `${path}: ${status}`);
      }
    const upload = await platform.api("/v1/tenants/..%2f../uploads/sha256:..%2f..", { method: "PUT", body: "x" });
    assert.equal(upload.status, 400);
  });

  test("reach no function but the one they name", async () => {
    for (const path of [
      "/fn/app/../app/secrets",
      "/fn/@../app/secrets",
      "/fn/@default%2f../app/secrets",
      "//fn/app/secrets",
    ]) {
      const { status } = await platform.call(path);
      assert.ok(status === 400 || status === 404, `${path}: ${status}`);
    }
    assert.equal((await platform.call("/fn/@other/app/secrets")).code, "function-not-found");
  });

  test("are refused by the command line", async () => {
    const { code, err } = await platform.colibri("list", "--tenant", "../default");
    assert.equal(code, 2);
    assert.match(err, /\.\.\/default/);
  });
});
