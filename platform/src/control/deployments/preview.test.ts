import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { DeploymentPreview, DeploymentRequest, FunctionConfig } from "#contract/api/resources.ts";
import {
  type Client,
  digestOf,
  type Medium,
  makeMedium,
  STORES,
  startControl,
  type TestControl,
  triggered,
} from "../control.fixture.ts";

for (const kind of STORES) {
  describe(`previews of deployments, store ${kind}`, () => {
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

    function requestOf(functions: Record<string, [source: string, config?: FunctionConfig]>, app = "app") {
      const entries = Object.entries(functions).map(
        ([name, [source, config = CONFIG]]) => [name, { config, source: digestOf(Buffer.from(source)) }] as const,
      );
      return { app, functions: Object.fromEntries(entries) } satisfies DeploymentRequest;
    }
    const changes = ({ functions }: DeploymentPreview) =>
      functions.map((fn) => `${fn.function} ${fn.change} ${fn.revision ?? "-"}`);

    test("says what each function would become, as the deployment then does, and does nothing itself", async () => {
      for (const source of ["same", "code", "env", "policy", "gone"]) await client.upload(source);
      const first = requestOf({ same: ["same"], code: ["code"], env: ["env"], policy: ["policy"], gone: ["gone"] });
      await client.deploy(first);
      const wanted = requestOf({
        same: ["same"],
        code: ["other"],
        env: ["env", { ...CONFIG, environment: { A: "b" } }],
        policy: ["policy", { ...CONFIG, policy: { ...CONFIG.policy, limits: { bodyBytes: 1 } } }],
        fresh: ["fresh"],
      });
      const { status, body } = await client.ask("previewDeployment", { body: { ...wanted, prune: true } });
      assert.equal(status, 200);
      const expected = [
        "same unchanged r1",
        "code updated r1",
        "env configured r1",
        "policy policy r1",
        "fresh created -",
        "gone removed -",
      ];
      assert.deepEqual(changes(body), expected);
      const kept = await client.ask("previewDeployment", { body: wanted });
      assert.deepEqual(changes(kept.body), expected.slice(0, -1));
      assert.deepEqual(
        [body.warnings, kept.body.warnings],
        [[], ["app/gone is not in colibri.yaml and stays: --prune removes it."]],
      );
      const { body: listed } = await client.ask("listDeployments", {});
      assert.equal(listed.items.length, 1);
      for (const source of ["other", "fresh"]) await client.upload(source);
      const done = await client.deploy({ ...wanted, prune: true });
      assert.deepEqual(
        done.functions.map((fn) => fn.change),
        body.functions.map((fn: { change: string }) => fn.change),
      );
    });

    test("refuses what a deployment would refuse, sources apart", async () => {
      await client.upload("holder");
      await client.deploy(requestOf({ holder: ["holder", triggered("GET /taken")] }, "other"));
      const cases = [
        [requestOf({ fn: ["x", { ...CONFIG, runtime: "cobol" }] }), 422, "runtime-unknown"],
        [requestOf({ fn: ["x", triggered("GET /taken")] }), 409, "conflict"],
        [{ app: "app", functions: {} }, 400, "request-invalid"],
      ] as const;
      for (const [body, status, code] of cases) {
        const answer = await client.ask("previewDeployment", { body });
        assert.deepEqual([answer.status, answer.body.code], [status, code]);
      }
      assert.equal((await client.as(null).ask("previewDeployment", { body: cases[0][0] })).status, 401);
    });
  });
}
