import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { ConfigChange, Deployment, FunctionConfig } from "#contract/api/resources.ts";
import { type Client, type Medium, makeMedium, STORES, startControl, type TestControl } from "./control.fixture.ts";

for (const kind of STORES) {
  describe(`configuration beside colibri.yaml, store ${kind}`, () => {
    let medium: Medium;
    let running: TestControl;
    let client: Client;
    before(async () => {
      medium = await makeMedium(kind);
      running = await startControl(medium);
      client = running.client;
    });
    after(async () => {
      await running.control.close();
      await medium.remove();
    });

    const withEnvironment = (environment: Record<string, string>): FunctionConfig => ({ ...CONFIG, environment });
    async function deploy(app: string, functions: Record<string, FunctionConfig>, source = "code") {
      const digest = await client.upload(source);
      const entries = Object.entries(functions).map(([name, config]) => [name, { config, source: digest }] as const);
      return client.deploy({ app, functions: Object.fromEntries(entries) });
    }
    const ask = (app: string, body: ConfigChange, headers = {}) =>
      client.ask("changeConfig", { params: { app }, body, headers });
    async function change(app: string, body: ConfigChange): Promise<Deployment> {
      const answer = await ask(app, body);
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      assert.equal(answer.headers.get("location"), `/v1/tenants/default/deployments/${answer.body.id}`);
      return client.ended(answer.body.id);
    }
    const changes = ({ state, functions }: Deployment) => [
      state,
      ...functions.map((fn) => `${fn.function} ${fn.change} ${fn.revision}${fn.overridden ? ` ${fn.overridden}` : ""}`),
    ];
    /** What its sandboxes get. */
    async function environmentOf(app: string, name: string) {
      const { live } = (await running.store.function("default", app, name))!;
      return (await running.store.revision("default", app, name, live[0]!.revision))!.config.environment;
    }

    test("a change makes new revisions of the same bundles, without a build", async () => {
      await deploy("first", { a: withEnvironment({ REGION: "north" }), b: CONFIG });
      const { builds } = running.builder;
      const done = await change("first", { set: { REGION: "south", KEY: "secret" } });
      assert.deepEqual(changes(done), ["done", "a configured r2 KEY,REGION", "b configured r2 KEY,REGION"]);
      assert.equal(running.builder.builds, builds);
      assert.deepEqual(await environmentOf("first", "a"), { REGION: "south", KEY: "secret" });
      const { body } = await client.ask("listRevisions", { params: { app: "first", function: "a" } });
      assert.deepEqual(body.items[0].bundle, body.items[1].bundle);
      const one = await change("first", { function: "b", set: { REGION: "west" } });
      assert.deepEqual(changes(one), ["done", "b configured r3 KEY,REGION"]);
      assert.deepEqual(await environmentOf("first", "b"), { REGION: "west", KEY: "secret" });
      assert.deepEqual(changes(await change("first", { set: { KEY: "secret" } })), [
        "done",
        "a unchanged r2 KEY,REGION",
        "b unchanged r3 KEY,REGION",
      ]);
    });

    test("it stays across deployments, and what colibri.yaml says comes back when it is unset", async () => {
      await deploy("stays", { a: withEnvironment({ REGION: "north" }) });
      await change("stays", { set: { REGION: "south" } });
      const code = await deploy("stays", { a: withEnvironment({ REGION: "north" }) }, "other code");
      assert.deepEqual(changes(code), ["done", "a updated r3 REGION"]);
      assert.deepEqual(await environmentOf("stays", "a"), { REGION: "south" });
      const same = await deploy("stays", { a: withEnvironment({ REGION: "north" }) }, "other code");
      assert.deepEqual(changes(same), ["done", "a unchanged r3 REGION"]);
      const rewritten = await deploy("stays", { a: withEnvironment({ REGION: "east" }) }, "other code");
      assert.deepEqual(changes(rewritten), ["done", "a configured r4 REGION"]);
      assert.deepEqual(await environmentOf("stays", "a"), { REGION: "south" });
      assert.deepEqual(changes(await change("stays", { unset: ["REGION"] })), ["done", "a configured r5"]);
      assert.deepEqual(await environmentOf("stays", "a"), { REGION: "east" });
      const added = await deploy("stays", { b: CONFIG }, "other code");
      assert.deepEqual(changes(added), ["done", "b created r1"]);
    });

    test("values are shown by config alone; elsewhere the names are", async () => {
      await deploy("shown", { a: withEnvironment({ REGION: "north" }) });
      await change("shown", { set: { KEY: "hush" } });
      await change("shown", { function: "a", set: { REGION: "hush too" } });
      const { body } = await client.ask("getConfig", { params: { app: "shown" } });
      assert.deepEqual(body, { app: { KEY: "hush" }, functions: { a: { REGION: "hush too" } } });
      const params = { app: "shown", function: "a" };
      const fn = await client.ask("getFunction", { params });
      assert.deepEqual([fn.body.config.environment, fn.body.overridden], [{ REGION: "north" }, ["KEY", "REGION"]]);
      for (const operation of ["getFunction", "listRevisions", "listFunctions", "listDeployments"] as const) {
        const answer = await client.ask(operation, { params });
        assert.doesNotMatch(JSON.stringify(answer.body), /hush/, operation);
      }
    });

    test("a deployment that was asked for before is carried out before, and one of another function is not undone", async () => {
      await deploy("order", { a: CONFIG });
      const begun = Promise.withResolvers<void>();
      const go = Promise.withResolvers<void>();
      running.builder.before = async () => {
        begun.resolve();
        await go.promise;
      };
      const source = await client.upload("newer code");
      const request = { app: "order", functions: { a: { config: CONFIG, source } } };
      const first = (await client.ask("createDeployment", { body: request })).body.id;
      await begun.promise;
      const second = (await ask("order", { set: { A: "1" } })).body.id;
      running.builder.before = () => {};
      go.resolve();
      await client.ended(first);
      assert.deepEqual(changes(await client.ended(second))[0], "done");
      assert.deepEqual(await environmentOf("order", "a"), { A: "1" });
      const { body } = await client.ask("getFunction", { params: { app: "order", function: "a" } });
      assert.equal(body.source, source, "the newer code was undone");
    });

    test("with an idempotency key it is done once", async () => {
      await deploy("once", { a: CONFIG });
      const headers = { "idempotency-key": `once-${kind}` };
      const first = await ask("once", { set: { A: "1" } }, headers);
      const again = await ask("once", { set: { A: "1" } }, headers);
      assert.equal(again.body.id, first.body.id);
      assert.equal((await ask("once", { set: { A: "2" } }, headers)).status, 409);
      await client.ended(first.body.id);
      assert.deepEqual(await environmentOf("once", "a"), { A: "1" });
    });

    test("what is wrong is refused with its place, and changes nothing", async () => {
      await deploy("wrong", { a: withEnvironment({ BIG: "x".repeat(100_000) }) });
      const big = "x".repeat(120_000);
      const cases: [string, ConfigChange, number, RegExp][] = [
        ["nowhere", { set: { A: "1" } }, 404, /no app "nowhere"/],
        ["wrong", { function: "b", set: { A: "1" } }, 404, /no function "wrong\/b"/],
        ["wrong", { set: { "1A": "1" } }, 400, /set\.1A: is no name of a variable/],
        ["wrong", { set: { COLIBRI_X: "1" } }, 400, /set\.COLIBRI_X: begins with COLIBRI_/],
        ["wrong", { set: { A: "\0" } }, 400, /set\.A: contains a NUL/],
        ["wrong", { set: { A: "1" }, unset: ["A"] }, 400, /set\.A: is also to be unset/],
        ["wrong", { set: { A: big, B: big, C: big, D: big } }, 400, /functions\.a\.environment: has \d+ bytes as JSON/],
        ["wrong", { set: { A: 1 } } as never, 400, /set\.A/],
        ["wrong", { sett: { A: "1" } } as never, 400, /sett/],
      ];
      for (const [app, body, status, message] of cases) {
        const answer = await ask(app, body);
        assert.equal(answer.status, status, JSON.stringify(answer.body));
        assert.match(answer.body.detail, message);
      }
      const { body } = await client.ask("getConfig", { params: { app: "wrong" } });
      assert.deepEqual(body, { app: {}, functions: {} });
      assert.equal((await client.ask("getConfig", { params: { app: "nowhere" } })).status, 404);
      assert.equal((await client.as(null).ask("getConfig", { params: { app: "wrong" } })).status, 401);
    });

    test("a deployment whose environment is too much together with it is refused", async () => {
      const big = "x".repeat(120_000);
      await deploy("limits", { a: CONFIG });
      await change("limits", { set: { A: big, B: big, C: big } });
      const source = await client.upload("code");
      const body = { app: "limits", functions: { a: { config: withEnvironment({ D: big, E: big }), source } } };
      const answer = await client.ask("createDeployment", { body });
      assert.equal(answer.status, 400);
      assert.match(answer.body.detail, /functions\.a\.config\.environment: has \d+ bytes/);
    });
  });
}
