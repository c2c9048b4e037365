import assert from "node:assert/strict";
import { renameSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DevRun } from "./dev-run.ts";
import { until } from "./platform.ts";

const CONFIG = `app: shop
functions:
  plain: { runtime: nodejs }
  hosted:
    runtime: nodejs
    triggers:
      - http: GET /hosted
        host: shop.example.com
`;
const PLAIN = (word: string) => `export default () => "${word}";\n`;
const FILES = { "colibri.yaml": CONFIG, "plain/index.mjs": PLAIN("one"), "hosted/index.mjs": PLAIN("hosted") };
/** Of a request that is not to wait for anything. */
const AT_ONCE = () => ({ signal: AbortSignal.timeout(2_000) });

describe("colibri dev in trouble", () => {
  const run = new DevRun(FILES);
  before(() => run.start("--allow-host", "tunnel.example.com"));
  after(() => run.close());

  /** Until it is refused; a request that hangs fails the test. */
  function refused(path: string, message: RegExp) {
    return until(`a refusal of ${path}`, async () => {
      const answer = await run.call(path, AT_ONCE());
      return answer.code === "build-failed" && message.test(answer.message);
    });
  }

  test("a function's folder that goes is named at once, and followed when it is there again", async () => {
    await run.answers("/fn/shop/plain", "one");
    const from = run.said.length;
    renameSync(join(run.app, "plain"), join(run.app, "aside"));
    await refused("/fn/shop/plain", /The folder of the function plain is not there: .*\/app\/plain\. Put it back/);
    await run.says(/plain +· build-failed: The folder of the function plain is not there/, from);
    renameSync(join(run.app, "aside"), join(run.app, "plain"));
    await run.answers("/fn/shop/plain", "one");
    run.write("plain/index.mjs", PLAIN("two"));
    await run.answers("/fn/shop/plain", "two");
  });

  test("the folder of the whole app too", async () => {
    const from = run.said.length;
    renameSync(run.app, `${run.app}-aside`);
    await refused("/fn/shop/plain", /The folder of the function plain is not there/);
    await run.says(/colibri\.yaml can't be read \(the folder .*\/app is gone: put it back\)/, from);
    renameSync(`${run.app}-aside`, run.app);
    await run.answers("/fn/shop/plain", "two");
    run.write("plain/index.mjs", PLAIN("three"));
    await run.answers("/fn/shop/plain", "three");
    run.write("colibri.yaml", `# saved\n${CONFIG}`);
    await run.says("colibri.yaml is right again", from);
  });

  test("a function that colibri.yaml names before its folder is there answers when the folder comes, with another handler too", async () => {
    run.write("colibri.yaml", `${CONFIG}  later: { runtime: nodejs }\n`);
    await refused("/fn/shop/later", /The folder of the function later is not there/);
    run.write("later/index.ts", `export default (): string => "came";\n`);
    await run.answers("/fn/shop/later", "came");
    run.remove("later/index.ts");
    run.write("later/index.js", "module.exports = () => 'changed';\n");
    await run.answers("/fn/shop/later", "changed");
  });

  test("links to / and above stall nothing", async () => {
    symlinkSync("/", join(run.app, "plain", "all"));
    symlinkSync("..", join(run.app, "plain", "above"));
    run.write("plain/index.mjs", PLAIN("four"));
    await run.answers("/fn/shop/plain", "four");
  });

  test("only names of this machine, and those that the app claims or its user allows, are answered", async () => {
    const at = (host: string, path = "/fn/shop/plain") => run.call(path, { headers: { host } });
    for (const host of [
      "localhost:1",
      "shop.localhost",
      "127.0.0.1",
      "[::1]:80",
      "tunnel.example.com",
      "SHOP.example.com",
    ])
      assert.equal((await at(host)).text, "four", host);
    assert.equal((await at("shop.example.com", "/hosted")).text, "hosted");
    for (const host of [
      "evil.example.com",
      "localhost.evil.com",
      "127.0.0.1.evil.com",
      "evil.com:80",
      "x@localhost.evil",
    ]) {
      const answer = await at(host);
      assert.deepEqual([answer.status, answer.code], [403, "forbidden"], host);
    }
    assert.match(
      (await at("evil.example.com")).message,
      /not for "evil\.example\.com".* --allow-host evil\.example\.com/,
    );
  });

  test("what can't be loaded is told once, with its place, however often it is called", async () => {
    let from = run.said.length;
    run.write("plain/index.mjs", `function deep() {\n  throw new TypeError("no way");\n}\ndeep();\n`);
    from = await run.says(/plain +· load-failed: TypeError: no way\nplain +· +at deep \(index\.mjs:2:9\)\n/, from);
    for (let call = 0; call < 3; call++) {
      const answer = await run.call("/fn/shop/plain", AT_ONCE());
      assert.deepEqual([answer.code, answer.message], ["load-failed", "TypeError: no way"]);
      from = await run.says(/GET \/fn\/shop\/plain 500 .*load-failed, as told above\n/, from);
    }
    // Whatever has been tried again meanwhile would have been logged by now: a request of another function has.
    await run.call("/fn/shop/hosted");
    assert.equal(run.said.split("no way").length, 2);
    run.write("plain/index.mjs", PLAIN("five"));
    await run.answers("/fn/shop/plain", "five");
  });

  test("a package that is missing is told as by a deployment, without Node's own words", async () => {
    const from = run.said.length;
    run.write("plain/index.mjs", `import left from "left-pad";\nexport default () => left;\n`);
    await run.says(
      /plain +· build-failed: index\.mjs imports the package left-pad, which is not installed: run "npm install left-pad"/,
      from,
    );
    assert.equal((await run.call("/fn/shop/plain", AT_ONCE())).code, "build-failed");
    assert.doesNotMatch(run.said, /ERR_MODULE_NOT_FOUND/);
    run.write("plain/index.mjs", PLAIN("six"));
    await run.answers("/fn/shop/plain", "six");
  });

  test("with dev killed its guests end, with its launcher all of it", async () => {
    const guests = () => run.processes().filter(({ cwd }) => cwd.includes("/agent/sandboxes/"));
    assert.ok(guests().length > 0);
    process.kill(run.pid, "SIGKILL");
    await run.stop();
    await until("nothing runs", () => run.processes().length === 0);
    await run.start();
    await run.answers("/fn/shop/plain", "six");
    assert.ok(guests().length > 0);
    await run.stop("SIGKILL");
    await until("nothing runs", () => run.processes().length === 0);
    assert.deepEqual(run.left(), []);
  });
});
