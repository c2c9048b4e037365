import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import { onTerminal, temporaryFolder } from "../fixture/run.ts";

/** Something on a port of this machine, and a command that is led there. */
async function against(t: TestContext, listener: RequestListener) {
  const cwd = temporaryFolder(t);
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { COLIBRI_URL: url, COLIBRI_TOKEN: "x", XDG_CONFIG_HOME: join(cwd, "config"), NO_COLOR: "1" };
  return { url, cwd, run: (...args: string[]) => onTerminal(args, { cwd, env, input: "x\n" }) };
}

const answers =
  (body: string, status = 200, type = "application/json"): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, { "content-type": type }).end(body);

const NETWORK = { kind: "allow", hosts: ["example.com"] };
const APP = { tenant: "default", app: "shop", network: NETWORK, functions: 1, createdAt: "", updatedAt: "" };
const FN = {
  ...{ tenant: "default", app: "shop", function: "pay", url: "/fn/shop/pay", source: "", config: CONFIG },
  ...{ live: [{ revision: "r1", weight: 1 }], overridden: [], createdAt: "", updatedAt: "" },
};

/** Apps are as they should be; of functions it answers this. */
const functionsAre =
  (fn: unknown): RequestListener =>
  (request, response) => {
    const isFunctions = /\/functions/.test(request.url ?? "");
    answers(JSON.stringify({ items: [isFunctions ? fn : APP] }))(request, response);
  };

describe("what answers as no control of Colibri does is told so", () => {
  const rubbish: Record<string, RequestListener> = {
    "a page for people": answers("<html>", 200, "text/html"),
    nothing: answers("", 204),
    null: answers("null"),
    "a number": answers("7"),
    "a list": answers("[]"),
    "an empty object": answers("{}"),
    "items that are none": answers('{"items":7}'),
    "items of another kind": answers('{"items":[null]}'),
    "a cursor that is none": answers('{"items":[],"next":{}}'),
    "pages without end": answers('{"items":[],"next":"a"}'),
    "somebody's own 404": answers('{"error":"nope"}', 404),
    "a redirection": (_request, response) => void response.writeHead(302, { location: "/login" }).end(),
    "a problem without words": answers('{"code":"not-found","title":7}', 404),
    "a problem of another shape": answers('{"code":"a","title":"b","detail":{"c":1}}', 400),
    "a problem with errors that are none": answers('{"code":"a","title":"b","detail":"c","errors":"d"}', 400),
    "a function that is none": functionsAre({ ...FN, live: "r1" }),
    "a function without configuration": functionsAre({ ...FN, config: { runtime: "nodejs" } }),
  };
  for (const what of ["a page for people", "a redirection", "nothing"])
    test(`${what}, asked for a log`, async (t) => {
      const { run } = await against(t, rubbish[what]!);
      for (const args of [
        ["logs", "a/b"],
        ["logs", "a/b", "-f"],
      ]) {
        const { code, out, err } = await run(...args);
        assert.deepEqual([code, out], [1, ""], err);
        assert.match(err, /is no control of Colibri: /);
      }
    });
  for (const [what, listener] of Object.entries(rubbish))
    test(what, async (t) => {
      const { url, run } = await against(t, listener);
      const { code, out, err } = await run("list");
      assert.deepEqual([code, out], [1, ""], err);
      assert.match(err, new RegExp(`^error: What answers at ${url} \\(from COLIBRI_URL\\) is no control of Colibri: `));
      assert.equal(err.split("\n").length, 3, err);
    });

  test("naming what is not as it should be", async (t) => {
    const { run } = await against(t, functionsAre({ ...FN, live: [{ revision: "r1", weight: "all" }] }));
    assert.match(
      (await run("list")).err,
      /of Colibri: in its answer, live\[0\]\.weight: expected a number, got "all"\.\n/,
    );
    assert.match((await run("list")).err, /may be of another version: `colibri version` tells/);
  });

  const commands = [
    ["inspect", "shop"],
    ["inspect", "shop/pay"],
    ["logs", "shop/pay"],
    ["open", "shop/pay"],
    ["config", "list", "shop"],
    ["config", "set", "shop", "A=1"],
    ["delete", "shop", "--yes"],
    ["delete", "shop/pay", "--yes"],
    ["login"],
  ];
  for (const command of commands)
    test(`by every command: ${command.join(" ")}`, async (t) => {
      const bodies = [
        '{"items":[{}]}',
        '{"version":7}',
        '"\\u001b[2J"',
        '{"items":[{"at":7}],"app":{},"live":0}',
        "<html>",
      ];
      for (const body of bodies) {
        const { run } = await against(t, answers(`${body}\n`));
        const { code, err } = await run(...command);
        assert.equal(code, 1, err);
        assert.match(err, /is no control of Colibri: /);
        assert.doesNotMatch(err, /is not a function|not iterable|undefined/);
        assert.ok(!err.includes("\u001b"), err);
      }
    });

  test("as it should be it is taken, also with what is new", async (t) => {
    const { run } = await against(t, functionsAre({ ...FN, news: 1, config: { ...CONFIG, execution: "fibres" } }));
    assert.deepEqual(await run("list", "-o", "name").then(({ code, out }) => [code, out]), [0, "shop/pay\n"]);
  });

  test("a proxy whose control is away is no reason to doubt the address", async (t) => {
    const { run } = await against(t, answers("<html>", 502));
    const { code, err } = await run("list");
    assert.deepEqual([code, /answered 502, and not as Colibri's control API does/.test(err)], [1, true], err);
  });
});

describe("the functions' address in place of control's", () => {
  const gateway: RequestListener = (request, response) => {
    const problem = { type: "", title: "", status: 404, code: "function-not-found", detail: `none at ${request.url}` };
    answers(JSON.stringify(problem), 404, "application/problem+json")(request, response);
  };

  test("is told, with where control may be", async (t) => {
    const { url, cwd, run } = await against(t, gateway);
    const { code, err } = await run("list");
    assert.equal(code, 1);
    assert.match(err, /\(from COLIBRI_URL\) is no control of Colibri: it is the address of the functions\.\n/);
    assert.match(err, /by default port 8081, here http:\/\/127\.0\.0\.1:8081\./);
    mkdirSync(join(cwd, ".colibri", "run"), { recursive: true });
    const addresses = { controlUrl: "http://127.0.0.1:7001", functionsUrl: url };
    writeFileSync(join(cwd, ".colibri", "run", "platform.json"), JSON.stringify(addresses));
    assert.match((await run("list")).err, /\n {2}Control is at http:\/\/127\.0\.0\.1:7001\.\n/);
  });

  test("is told also while the gateway is not ready: control gives nothing the id of an invocation", async (t) => {
    const problem = { type: "", title: "", status: 503, code: "not-ready", detail: "no plan", invocation: "01JD" };
    const { run } = await against(t, answers(JSON.stringify(problem), 503));
    assert.match((await run("list")).err, /it is the address of the functions\./);
  });

  test("is kept by no login, and no function is said to be missing", async (t) => {
    const { run } = await against(t, gateway);
    const { code, err } = await run("login");
    assert.equal(code, 1);
    assert.match(err, /it is the address of the functions\. Nothing was kept\.\n {2}Control has an address of its own/);
    assert.doesNotMatch((await run("delete", "shop/pay", "--yes")).err, /There is no function/);
    assert.match((await run("context", "list")).out, /^\* +local/m);
  });
});
