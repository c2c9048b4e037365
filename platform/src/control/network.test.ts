import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { Deployment, DeploymentRequest, FunctionConfig } from "#contract/api/resources.ts";
import { type Client, type Medium, makeMedium, STORES, startControl, type TestControl } from "./control.fixture.ts";

type Network = DeploymentRequest["network"];
const NONE: Network = { kind: "none" };
const LIST: Network = { kind: "allow", hosts: ["*.example.com", "203.0.113.0/24", "api.example.com:443"] };
const CONTAINERS = { technology: "container", isolation: "container", detail: "crun 1.8.1" };

for (const kind of STORES) {
  describe(`networks of apps, store ${kind}`, () => {
    let medium: Medium;
    let running: TestControl;
    let client: Client;
    before(async () => {
      medium = await makeMedium(kind);
      running = await startControl(medium, { sandbox: CONTAINERS });
      client = running.client;
    });
    after(async () => {
      await running.control.close();
      await medium.remove();
    });

    async function requestOf(app: string, network: Network, config: FunctionConfig = CONFIG, code = "code") {
      const source = await client.upload(code);
      const functions = { a: { config, source }, b: { config, source } };
      return { app, functions, ...(network && { network }) } satisfies DeploymentRequest;
    }
    const deploy = async (...given: Parameters<typeof requestOf>) =>
      changes(await client.deploy(await requestOf(...given)));
    const changes = ({ state, functions }: Deployment) => [
      state,
      ...functions.map((fn) => `${fn.function} ${fn.change} ${fn.revision}`),
    ];
    const shown = async (app: string) => (await client.ask("getApp", { params: { app } })).body.network;
    /** What agents are told of each revision of the app. */
    async function told(app: string): Promise<Record<string, unknown>> {
      const { entries } = await running.control.feed.snapshot("launches");
      const own = entries.flatMap((entry) => (entry.kind === "put" && entry.key.includes(`/${app}/`) ? [entry] : []));
      return Object.fromEntries(
        own.map(({ key, plan }) => [key.split("/")[2], (plan as { network: Network }).network]),
      );
    }

    test("a deployment sets it for all revisions there are, without a new one", async () => {
      assert.deepEqual(await deploy("set", undefined), ["done", "a created r1", "b created r1"]);
      assert.deepEqual(await shown("set"), { kind: "internet" });
      const { builds } = running.builder;
      const request = await requestOf("set", LIST);
      const preview = await client.ask("previewDeployment", { body: request });
      assert.deepEqual(
        preview.body.functions.map((fn: { change: string }) => fn.change),
        ["policy", "policy"],
      );
      assert.deepEqual(changes(await client.deploy(request)), ["done", "a policy r1", "b policy r1"]);
      assert.equal(running.builder.builds, builds);
      assert.deepEqual(await shown("set"), LIST);
      assert.deepEqual(await told("set"), { "a@r1": LIST, "b@r1": LIST });
      assert.deepEqual(await deploy("set", LIST), ["done", "a unchanged r1", "b unchanged r1"]);
    });

    test("older revisions have what the app has now: going back to one widens nothing", async () => {
      await deploy("back", { kind: "internet" });
      await deploy("back", NONE, { ...CONFIG, environment: { A: "1" } });
      assert.deepEqual(await told("back"), { "a@r1": NONE, "a@r2": NONE, "b@r1": NONE, "b@r2": NONE });
    });

    test("it stays where a deployment does not name it, and where settings change", async () => {
      await deploy("stays", NONE);
      assert.deepEqual(await deploy("stays", undefined), ["done", "a unchanged r1", "b unchanged r1"]);
      assert.deepEqual(await deploy("stays", undefined, CONFIG, "other"), ["done", "a updated r2", "b updated r2"]);
      const changed = await client.ask("changeConfig", { params: { app: "stays" }, body: { set: { A: "1" } } });
      assert.deepEqual(changes(await client.ended(changed.body.id)), ["done", "a configured r3", "b configured r3"]);
      assert.deepEqual(await shown("stays"), NONE);
      assert.deepEqual(new Set(Object.values(await told("stays")).map((network) => JSON.stringify(network))).size, 1);
      assert.deepEqual((await told("stays"))["a@r3"], NONE);
    });

    test("what is no policy is refused, with the host and its place", async () => {
      const hosts = ["a.b", "10.0.0.1", "http://a.b"];
      const request = await requestOf("refused", { kind: "allow", hosts });
      const { status, body } = await client.ask("createDeployment", { body: request });
      assert.deepEqual([status, body.code], [400, "request-invalid"]);
      assert.deepEqual(
        body.errors.map((error: { path: string }) => error.path),
        ["network.hosts[1]", "network.hosts[2]"],
      );
      assert.match(body.detail, /"10\.0\.0\.1" is private/);
      for (const network of [{ kind: "open" }, { kind: "allow" }, { kind: "allow", hosts: [] }, "none"]) {
        const answer = await client.ask("createDeployment", { body: { ...request, network } });
        assert.deepEqual([answer.status, answer.body.code], [400, "request-invalid"], JSON.stringify(network));
      }
    });

    test("where sandboxes have no walls, a deployment warns that it will not be carried out", async () => {
      const { warnings } = (await client.ask("previewDeployment", { body: await requestOf("walls", NONE) })).body;
      assert.deepEqual(warnings, []);
      const bare = await makeMedium(kind);
      const other = await startControl(bare);
      try {
        const warned = async (network: Network) => {
          const request = {
            app: "walls",
            functions: { a: { config: CONFIG, source: await client.upload("x") } },
            network,
          };
          return (await other.client.ask("previewDeployment", { body: request })).body.warnings;
        };
        assert.match((await warned(NONE))[0], /^network: process sandboxes can't be kept to it/);
        assert.deepEqual(await warned({ kind: "internet" }), []);
        assert.deepEqual(await warned(undefined), []);
      } finally {
        await other.control.close();
        await bare.remove();
      }
    });
  });
}
