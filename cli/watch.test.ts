import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FixturePlatform } from "./fixture/platform.ts";
import { envFor, onTerminal, spawnColibri, temporaryFolder } from "./fixture/run.ts";

const LONGEST_MS = 15_000;

async function until(what: string, probe: () => boolean): Promise<void> {
  const end = Date.now() + LONGEST_MS;
  while (!probe()) {
    assert.ok(Date.now() < end, `not within ${LONGEST_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves when somebody has tried to connect to this port, and was cut off. */
async function refusal(port: number): Promise<void> {
  const server = createServer((socket) => socket.destroy());
  server.listen(port, "127.0.0.1");
  await once(server, "connection");
  await new Promise((resolve) => server.close(resolve));
}

describe("--watch", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = { ...envFor(platform), NO_COLOR: "1" };
  });
  const children = new Set<ReturnType<typeof spawnColibri>>();
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL");
    children.clear();
    return platform.stop();
  });

  /** Runs on no terminal; ends it as Ctrl-C does. */
  function watching(args: readonly string[], cwd?: string) {
    const child = spawnColibri(args, { env, ...(cwd !== undefined && { cwd }) });
    children.add(child);
    const said = { out: "", err: "" };
    child.stdout!.on("data", (chunk) => {
      said.out += chunk;
    });
    child.stderr!.on("data", (chunk) => {
      said.err += chunk;
    });
    const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
    const interrupt = (): Promise<number | null> => {
      child.kill("SIGINT");
      return ended;
    };
    return { said, interrupt };
  }

  test("list prints again when something has changed, through an absence of the platform", async () => {
    platform.addFunction("shop", "greet");
    const { said, interrupt } = watching(["list", "--watch", "-o", "name"]);
    const polls = () => platform.requests.filter((line) => line.endsWith("/apps?limit=1000")).length;
    await until("a look at what has not changed", () => polls() >= 2);
    assert.equal(said.out, "shop/greet\n");
    await platform.stop();
    platform.addFunction("shop", "pay");
    await refusal(Number(new URL(platform.url).port));
    await platform.start();
    await until("the second", () => said.out === "shop/greet\n\nshop/greet\nshop/pay\n");
    assert.deepEqual([await interrupt(), said.err], [0, ""]);
  });

  test("on a terminal it stays in one place", async () => {
    platform.addFunction("shop", "greet");
    const controller = new AbortController();
    const asked = () => platform.requests.filter((line) => line.endsWith("/apps?limit=1000")).length;
    const watch = setInterval(() => asked() >= 2 && controller.abort(new Error("Ctrl-C")), 20);
    const { code, out } = await onTerminal(["list", "-w"], { env, signal: controller.signal });
    clearInterval(watch);
    assert.equal(code, 0);
    assert.ok(out.startsWith("\u001b[2J\u001b[HFUNCTION"), JSON.stringify(out));
    assert.equal(out.split("\u001b[2J").length, 2, "cleared once");
  });

  test("what is not there at first is an error", async () => {
    const { code, err } = await onTerminal(["inspect", "shop/greet", "--watch"], { env });
    assert.deepEqual([code, /There is no function shop\/greet/.test(err)], [5, true]);
  });

  test("deploy --watch deploys again after a change, and after one that mends a mistake", async (t) => {
    const cwd = temporaryFolder(t);
    const yaml =
      'app: shop\nfunctions:\n  greet: { runtime: nodejs, handler: index.mjs, triggers: [{ timer: "* * * * *" }] }\n';
    platform.buildSays = "greet: timer triggers are kept";
    writeFileSync(join(cwd, "colibri.yaml"), yaml);
    mkdirSync(join(cwd, "greet"));
    writeFileSync(join(cwd, "greet", "index.mjs"), "export default () => 1;\n");
    const { said, interrupt } = watching(["deploy", "--watch"], cwd);
    const waits = () => said.err.match(/Waiting for changes/g)?.length ?? 0;
    await until("the first", () => waits() === 1);
    assert.match(said.out, /greet +created +r1/);
    writeFileSync(join(cwd, "colibri.yaml"), yaml.replace("handler", "handlr"));
    await until("the mistake", () => waits() === 2);
    assert.match(said.err, /mistake.* in colibri\.yaml/);
    writeFileSync(join(cwd, "colibri.yaml"), yaml);
    mkdirSync(join(cwd, "greet", "lib"));
    writeFileSync(join(cwd, "greet", "lib", "new.mjs"), "export default 2;\n");
    await until("the change", () => /greet +updated +r2/.test(said.out));
    mkdirSync(join(cwd, "greet", "node_modules"));
    writeFileSync(join(cwd, "greet", "node_modules", "x"), "not deployed");
    writeFileSync(join(cwd, "greet", "lib", "new.mjs"), "export default 3;\n");
    await until("the next", () => /greet +updated +r3/.test(said.out));
    assert.equal(platform.deployments.size, 3);
    // Several looks at what has not changed: too short a wait would miss a deployment, never invent one.
    writeFileSync(join(cwd, "greet", "node_modules", "y"), "not deployed either");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal(platform.deployments.size, 3);
    assert.deepEqual(said.err.match(/^warning: .*$/gm), ["warning: greet: timer triggers are kept"]);
    assert.equal(await interrupt(), 0);
  });

  test("deploy --watch says once what keeps changes from being noticed", async (t) => {
    const cwd = temporaryFolder(t);
    const yaml = "app: shop\nfunctions:\n  greet: { runtime: nodejs, handler: index.mjs }\n";
    writeFileSync(join(cwd, "colibri.yaml"), yaml);
    // Whose rules can't be read.
    mkdirSync(join(cwd, "greet", ".colibriignore"), { recursive: true });
    const { said, interrupt } = watching(["deploy", "--watch"], cwd);
    const waits = () => said.err.match(/Waiting for changes/g)?.length ?? 0;
    await until("the first", () => waits() === 1);
    writeFileSync(join(cwd, "colibri.yaml"), `${yaml}# saved\n`);
    await until("the second", () => waits() === 2);
    assert.equal(said.err.match(/Not all changes are noticed: EISDIR/g)?.length, 1);
    assert.equal(await interrupt(), 0);
  });

  test("deploy --watch of a folder without an app ends at once", async (t) => {
    const { code, err } = await onTerminal(["deploy", "--watch"], { cwd: temporaryFolder(t), env });
    assert.deepEqual([code, /There is no colibri\.yaml/.test(err)], [1, true]);
    assert.equal((await onTerminal(["deploy", "--watch", "--dry-run"], { env })).code, 2);
  });
});
