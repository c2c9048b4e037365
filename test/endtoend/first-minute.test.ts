// The first minute with Colibri, as its README tells it, and the ways in which it ends.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { ROLES } from "#platform/main/supervisor.ts";
import { CHECKOUT, finish, node, Place, type Platform, signal, startPlatform, until } from "./platform.ts";
import { guestsOf, processesOf, rolesOf } from "./processes.ts";
import { commandsBelow, Shell } from "./shell.ts";

describe("the first minute", () => {
  let platform: Platform;
  before(async () => {
    platform = await startPlatform();
  });
  after(() => platform?.close());

  test("the banner says where it answers, where the token is and what to try", async () => {
    const { banner, functionsUrl, controlUrl, home } = platform;
    const deploy = `colibri deploy ${join(CHECKOUT, "examples/hello")}`;
    for (const said of [functionsUrl, `${controlUrl}/v1`, join(home, "token"), deploy])
      assert.ok(banner.includes(said), `${said} is not in ${banner}`);
    assert.equal((await platform.call("/healthz")).status, 200);
    assert.equal((await platform.api("/v1/health")).json.status, "ok");
  });

  test("the banner's first call answers once its deployment is done", async () => {
    const shell = new Shell(platform);
    const said = (word: string) => platform.banner.split("\n").find((text) => text.includes(word))!;
    const deployed = await shell.run(said("colibri deploy "), "..");
    assert.equal(deployed.code, 0, deployed.err);
    assert.match(deployed.out, /hello +created +r1/);
    const { out } = await shell.run(said("curl "));
    assert.equal(out, '{"hello":"you"}');
    const proposed = commandsBelow(deployed.out, "Try it:");
    assert.equal(proposed.length, 2, deployed.out);
    for (const command of proposed) {
      const { code, out, err } = await shell.run(command, "..");
      assert.equal(code, 0, `${command}\n${out}${err}`);
    }
    const invoked = await platform.colibri("invoke", "hello/hello-python", "--data", '{"name":"Ada"}');
    assert.deepEqual(JSON.parse(invoked.out), { hello: "Ada" });
  });

  test("what a function logs is shown", async () => {
    const cart = node('export default () => { console.log("first cart"); return "v1"; };');
    const { out: said } = await platform.tryDeploy("shop", { cart });
    // What it takes nobody knows: no call is proposed that might fail.
    assert.deepEqual(commandsBelow(said, "It is called at:"), [`${platform.functionsUrl}/fn/shop/cart`]);
    assert.equal((await platform.call("shop/cart")).text, "v1");
    const shown = await until("the line in the log", async () => {
      const { out } = await platform.colibri("logs", "shop/cart");
      return out.includes("first cart") && out;
    });
    assert.match(shown, /info .*first cart/);
  });

  test("deploying the same again says that nothing is to do", async () => {
    const { code, out } = await platform.colibri("deploy", "shop");
    assert.equal(code, 0);
    assert.match(out, /Nothing to do: app shop is as deployed \(revision r1\)/);
  });

  test("a change is live when deploy ends, and no request fails meanwhile", async () => {
    let over = false;
    const answers = new Set<string>();
    const asking = async () => {
      while (!over) {
        const { status, text } = await platform.call("shop/cart");
        answers.add(`${status} ${text}`);
      }
    };
    const callers = [asking(), asking(), asking()];
    await platform.deploy("shop", { cart: node('export default () => "v2";') });
    assert.equal((await platform.call("shop/cart")).text, "v2");
    over = true;
    await Promise.all(callers);
    // Whoever asked all the while saw the one and then the other, and nothing else.
    assert.deepEqual([...answers].sort(), ["200 v1", "200 v2"]);
    const { out } = await platform.colibri("inspect", "shop/cart", "--json");
    assert.deepEqual(JSON.parse(out).live, [{ revision: "r2", weight: 100 }]);
  });

  test("a deleted function is not found, and its sandboxes go", async () => {
    assert.equal((await platform.colibri("delete", "shop")).code, 0);
    const { status, code } = await platform.call("shop/cart");
    assert.deepEqual([status, code], [404, "function-not-found"]);
    assert.equal((await platform.colibri("inspect", "shop/cart")).code, 5);
    await until("only the sandboxes of hello are left", () => guestsOf(platform.home).length === 2);
  });
});

describe("a start that can't be is refused in one line", () => {
  async function assertRefused(place: Place, pattern: RegExp): Promise<void> {
    const child = place.spawn(["serve"]);
    let saidAt = 0;
    child.stderr!.once("data", () => {
      saidAt = Date.now();
    });
    const { code, out, err } = await finish(child);
    assert.equal(code, 1);
    // Not after waiting ten seconds for a role that itself waits for what will not come.
    assert.ok(Date.now() - saidAt < 8_000);
    assert.match(err, pattern);
    assert.equal(err.trimEnd().split("\n").length, 1, err);
    assert.equal(out, "");
  }

  const taken = (port: number) => ({
    COLIBRI_PORT: `127.0.0.1:${port} is taken: choose another with COLIBRI_PORT`,
    COLIBRI_CONTROL_PORT: `port ${port} on 127.0.0.1 is taken: stop what listens there, or choose another with COLIBRI_CONTROL_PORT`,
  });
  for (const variable of ["COLIBRI_PORT", "COLIBRI_CONTROL_PORT"] as const)
    test(`the port in ${variable} is taken`, async (t) => {
      const server = createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      t.after(() => server.close());
      const { port } = server.address() as { port: number };
      const place = new Place({ [variable]: String(port) });
      t.after(() => place.remove());
      await assertRefused(place, new RegExp(taken(port)[variable]));
      assert.deepEqual(processesOf(place.home), []);
    });

  test("the home can't be written", async (t) => {
    const place = new Place();
    t.after(() => place.remove());
    writeFileSync(place.home, "in the way of the folder");
    await assertRefused(place, /^colibri: the home .*home can't be written \(\w+\): choose another with COLIBRI_HOME/);
  });

  test("a setting is wrong", async (t) => {
    const place = new Place({ COLIBRI_PORT: "http" });
    t.after(() => place.remove());
    await assertRefused(place, /^colibri: COLIBRI_PORT is "http": it takes a port/);
  });

  test("the home is in use; whoever uses it goes on", async (t) => {
    const platform = await startPlatform();
    t.after(() => platform?.close());
    await assertRefused(platform.place, /^colibri: Colibri already runs on .*home \(process \d+\): stop it first/);
    assert.equal((await platform.call("/healthz")).status, 200);
    assert.equal((await platform.colibri("list")).code, 0);
  });
});

describe("the end", () => {
  const isUp = (platform: Platform) =>
    platform.call("/healthz").then(
      () => true,
      () => false,
    );

  /** With two functions deployed, one of which is being invoked until the answer given here. */
  async function startBusy(t: TestContext, place: Place, slowMs: number) {
    const platform = await startPlatform(place);
    t.after(() => platform?.close());
    const slow = node(`export default () => new Promise((resolve) => setTimeout(resolve, ${slowMs}, "done"));`);
    await platform.deploy("app", { slow, quick: node('export default () => "here";') });
    const answer = platform.call("app/slow").then(
      ({ text }) => text,
      () => "broken off",
    );
    assert.equal((await platform.call("app/quick")).text, "here");
    await until("both sandboxes run", () => guestsOf(platform.home).length === 2);
    return { platform, answer };
  }

  test("Ctrl-C lets what runs finish, stops all that was started, and leaves nothing outside of the home", async (t) => {
    const around = new Place();
    t.after(() => around.remove());
    const [user, tmp] = ["user", "tmp"].map((name) => join(around.folder, name)) as [string, string];
    for (const folder of [user, tmp]) mkdirSync(folder);
    const place = new Place({ TMPDIR: tmp, HOME: user });
    const { platform, answer } = await startBusy(t, place, 1_500);
    platform.child.kill("SIGINT");
    assert.equal(await platform.ended, 0);
    assert.equal(await answer, "done");
    assert.equal(await isUp(platform), false);
    assert.deepEqual(processesOf(platform.home), []);
    assert.deepEqual(readdirSync(join(platform.home, "run")), []);
    assert.deepEqual([readdirSync(tmp), readdirSync(user)], [[], []]);
    assert.deepEqual([readdirSync(place.work), readdirSync(place.folder).sort()], [["app"], ["home", "work"]]);

    const again = await startPlatform(place);
    assert.equal((await again.call("app/quick")).text, "here");
    await again.close();
  });

  test("a second Ctrl-C kills at once", async (t) => {
    const { platform } = await startBusy(t, new Place(), 25_000);
    // Stopping in good order takes ten seconds with a role that does not answer.
    signal(platform.pidOf("gateway"), "SIGSTOP");
    const begun = Date.now();
    platform.child.kill("SIGINT");
    await until("stopping begins", () => platform.said.includes("Ctrl-C again to stop at once"));
    await until("a later Ctrl-C ends it", () => {
      platform.child.kill("SIGINT");
      return platform.child.exitCode !== null;
    });
    assert.ok(Date.now() - begun < 9_000);
    await until("nothing of it runs", () => processesOf(platform.home).length === 0);
  });

  test("a supervisor that is killed takes roles and guests with it", async (t) => {
    const { platform } = await startBusy(t, new Place(), 25_000);
    assert.deepEqual(rolesOf(platform.home), [...ROLES]);
    signal(platform.pidOf("supervisor"), "SIGKILL");
    await until("nothing of it runs", () => processesOf(platform.home).length === 0);
    assert.equal(await isUp(platform), false);
    const { code, err } = await platform.colibri("list");
    assert.equal(code, 3, err);

    // What it left in the home is in nobody's way.
    const again = await startPlatform(platform.place);
    assert.equal((await again.call("app/quick")).text, "here");
    await again.close();
  });
});
