import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DevRun } from "./dev-run.ts";
import { finish, until } from "./platform.ts";

const CONFIG = `app: shop
env: { REGION: north }
functions:
  plain:
    runtime: nodejs
    triggers:
      - http: GET /plain/{id}
  typed:
    runtime: nodejs
    handler: index.ts
  snake:
    runtime: python
  tidy:
    runtime: nodejs
    triggers:
      - timer: "*/5 * * * *"
`;
const PLAIN = (word: string) => `export default (_, { request }) => "${word} " + (request?.params?.id ?? "");\n`;

const FILES = {
  "colibri.yaml": CONFIG,
  "plain/index.mjs": PLAIN("one"),
  "typed/index.ts": `import { word } from "./word.ts";
import { shout } from "loud";
import { readFileSync } from "node:fs";
const read: string = readFileSync(new URL("./data.txt", import.meta.url), "utf8");
export default (): string => shout(word) + read;
`,
  "typed/word.ts": `export const word: string = "one";\n`,
  "typed/data.txt": "!",
  "typed/node_modules/loud/package.json": `{"name":"loud","type":"module","exports":"./index.js"}`,
  "typed/node_modules/loud/index.js": "export const shout = (text) => text.toUpperCase();\n",
  "snake/handler.py": `import os\ndef handler(input, context):\n    return "one " + os.environ["REGION"]\n`,
  "tidy/index.mjs": `export default (input) => { console.log("tidied", input.schedule); return input; };\n`,
};

describe("colibri dev", () => {
  const run = new DevRun(FILES);
  before(() => run.start());
  after(() => run.close());

  test("answers at the addresses that a platform has, triggers and errors included", async () => {
    assert.match(run.said, new RegExp(`plain +${RegExp.escape(run.url)}/fn/shop/plain\n +GET /plain/\\{id\\}\n`));
    const plain = await run.call("/fn/shop/plain");
    assert.deepEqual([plain.status, plain.text], [200, "one "]);
    assert.ok(plain.headers["colibri-invocation-id"]);
    assert.equal((await run.call("/plain/7")).text, "one 7");
    assert.equal((await run.call("/fn/shop/typed")).text, "ONE!");
    assert.equal((await run.call("/fn/shop/snake")).text, "one north");
    const absent = await run.call("/fn/shop/absent");
    assert.deepEqual([absent.status, absent.code], [404, "function-not-found"]);
    const later = await run.call("/fn/shop/plain", { headers: { prefer: "respond-async" } });
    assert.notEqual(later.status, 200);
    await run.says(/GET \/plain\/7 200 [\d.]+ms\n/);
    await run.says(/GET \/fn\/shop\/absent 404 .*\n +function-not-found: /);
  });

  test("follows edits of JavaScript, TypeScript with its imports, and Python; no request in between is lost", async () => {
    let editing = true;
    const statuses = new Set<number>();
    const calling = (async () => {
      while (editing) statuses.add((await run.call("/fn/shop/plain")).status);
    })();
    run.write("plain/index.mjs", PLAIN("two"));
    await run.answers("/fn/shop/plain", "two ");
    editing = false;
    await calling;
    assert.deepEqual([...statuses], [200]);
    run.write("typed/word.ts", `export const word: string = "two";\n`);
    await run.answers("/fn/shop/typed", "TWO!");
    run.write(
      "snake/handler.py",
      `import os\ndef handler(input, context):\n    return "two " + os.environ["REGION"]\n`,
    );
    await run.answers("/fn/shop/snake", "two north");
  });

  test("tells what is wrong with an edit, here and to callers, until it is mended", async () => {
    const from = run.said.length;
    run.write("plain/index.mjs", "export default (\n");
    const broken = await until("the error", async () => {
      const answer = await run.call("/fn/shop/plain");
      return answer.status !== 200 && answer;
    });
    assert.equal(broken.code, "load-failed");
    assert.match(broken.message, /SyntaxError: index\.mjs:2/);
    await run.says(/plain +· load-failed: SyntaxError: index\.mjs:2/, from);
    run.write("plain/index.mjs", PLAIN("three"));
    await run.answers("/fn/shop/plain", "three ");

    run.write("typed/word.ts", "export const word: = 1;\n");
    await run.says(/typed +· build-failed: .*\n.*word\.ts:1:20: Unexpected "="/, from);
    const unbuilt = await run.call("/fn/shop/typed");
    assert.deepEqual([unbuilt.status, unbuilt.code], [422, "build-failed"]);
    run.write("typed/word.ts", `export const word: string = "three";\n`);
    await run.answers("/fn/shop/typed", "THREE!");

    run.remove("snake/handler.py");
    await run.says(/snake +· build-failed: There is no file "handler\.py"/, from);
    run.write("snake/handler.py", `def handler(input, context):\n    return "three"\n`);
    await run.answers("/fn/shop/snake", "three");
  });

  test("shows the lines of TypeScript in stacks, and names the function in front of its log", async () => {
    const from = run.said.length;
    run.write(
      "typed/word.ts",
      `interface Much {\n  text: string;\n}\nexport const word = (much: Much): never => {\n  throw new RangeError(much.text);\n};\n`,
    );
    run.write("typed/index.ts", `import { word } from "./word.ts";\nexport default () => word({ text: "deep" });\n`);
    await until("the error", async () => (await run.call("/fn/shop/typed")).message === "RangeError: deep");
    await run.says(/typed +│ RangeError: deep\ntyped +│ +at word \(word\.ts:5:9\)\n.*index\.ts:2:\d+/, from);
  });

  test("follows files in folders that are made meanwhile", async () => {
    run.write("plain/deep/er/part.mjs", `export const word = "five ";\n`);
    run.write("plain/index.mjs", `import { word } from "./deep/er/part.mjs";\nexport default () => word;\n`);
    await run.answers("/fn/shop/plain", "five ");
    run.write("plain/deep/er/part.mjs", `export const word = "six ";\n`);
    await run.answers("/fn/shop/plain", "six ");
  });

  test("follows colibri.yaml: functions come and go, a broken one is shown and changes nothing", async () => {
    let from = run.said.length;
    run.write("added/index.mjs", `export default () => process.env.REGION;\n`);
    run.write("colibri.yaml", `${CONFIG}  added: { runtime: nodejs }\n`);
    await run.answers("/fn/shop/added", "north");
    run.write("colibri.yaml", `${CONFIG.replace("north", "south")}  added: { runtime: nodejs }\n`);
    await run.answers("/fn/shop/added", "south");
    run.write("colibri.yaml", CONFIG.replace("timer:", "tmer:"));
    from = await run.says(/colibri\.yaml:16:9: .*tmer.*\n +16 \| +- tmer/, from);
    assert.equal((await run.call("/fn/shop/added")).text, "south");
    run.write("colibri.yaml", CONFIG);
    from = await run.says("colibri.yaml is right again", from);
    run.write("colibri.yaml", `network: none\n${CONFIG}  added: { runtime: nodejs }\n`);
    from = await run.says(/network: none is not enforced here: functions run as plain processes/, from);
    await run.answers("/fn/shop/added", "north");
    run.write("colibri.yaml", CONFIG);
    await run.says(/added +· is no longer in colibri\.yaml/, from);
    await until("404", async () => (await run.call("/fn/shop/added")).status === 404);
  });

  test("fires timers by hand: from another terminal, and by a request of this machine's programs alone", async () => {
    const fired = await finish(run.spawn("dev", "--fire", "shop/tidy"));
    assert.deepEqual(
      [fired.code, fired.err.replace(/[\d.]+ms/, "")],
      [0, "Fired */5 * * * * of shop/tidy: status 200, .\n"],
    );
    const { scheduledAt, ...rest } = JSON.parse(fired.out);
    assert.deepEqual(rest, { trigger: "timer", schedule: "*/5 * * * *" });
    assert.ok(Math.abs(Date.parse(scheduledAt) - Date.now()) < 60_000);
    await run.says(/tidy +│ tidied \*\/5 \* \* \* \*/);
    await run.says(/TIMER tidy \(\*\/5 \* \* \* \*\) 200/);
    const path = "/v1/dev/fire/shop/tidy";
    const posted = await run.call(path, { method: "POST" });
    assert.deepEqual([posted.status, posted.json.outcome], [200, "ok"]);
    for (const headers of [{ origin: "https://example.com" }, { host: "example.com" }])
      assert.equal((await run.call(path, { method: "POST", headers })).code, "forbidden");
    assert.equal((await run.call(path)).code, "method-not-allowed");
    assert.match(
      (await run.call("/v1/dev/fire/shop/plain", { method: "POST" })).json.detail,
      /shop\/plain has no timer/,
    );
    assert.match((await run.call(`${path}?timer=2`, { method: "POST" })).json.detail, /has timers 1 to 1, not 2/);
    const elsewhere = await finish(run.spawn("dev", "--fire", "other/tidy"));
    assert.deepEqual([elsewhere.code, elsewhere.err.includes("Only shop is run")], [3, true]);
  });

  test("Ctrl-C ends it at once, whatever still runs, and nothing stays behind", async () => {
    run.write("plain/index.mjs", `export default () => new Promise(() => {});\n`);
    run.write("typed/index.ts", `export default () => "last";\n`);
    await run.answers("/fn/shop/typed", "last");
    const lost = run.call("/fn/shop/plain").catch(() => undefined);
    await until("the call", () => run.processes().length > 1);
    assert.equal(await run.stop(), 0);
    await lost;
    assert.deepEqual(run.processes(), []);
    assert.deepEqual(run.left(), []);
    assert.ok(!existsSync(join(run.app, "typed", ".colibri-dev")));
  });

  test("what one that was killed has left is removed by the next", async () => {
    await run.start();
    await run.says(/snake +· r1 is ready/);
    const guests = run.processes().filter(({ cwd }) => cwd.includes("/agent/sandboxes/"));
    assert.ok(guests.length > 0);
    process.kill(run.pid, "SIGKILL");
    await run.stop();
    await until("its guests end", () => run.processes().length === 0);
    const [left] = run.left();
    assert.ok(existsSync(join(run.app, "typed", ".colibri-dev", left!)));
    await run.start();
    assert.equal(await run.stop(), 0);
    assert.deepEqual([run.processes(), run.left()], [[], []]);
    assert.ok(!existsSync(join(run.app, "typed", ".colibri-dev")));
  });

  test("a port that was asked for and is taken is an error that says so", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const ran = await finish(run.spawn("dev", "--port", String(port)));
    server.close();
    assert.deepEqual([ran.code, ran.out], [1, ""]);
    assert.match(ran.err, new RegExp(`Port ${port} is taken`));
    assert.deepEqual(
      readdirSync(run.temporary).filter((name) => !name.startsWith("colibri-dev-")),
      [],
    );
  });
});
