import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { Deployment, DeploymentEvent, DeploymentRequest, FunctionConfig } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import {
  type Client,
  type Medium,
  makeMedium,
  STORES,
  startControl,
  type TestControl,
  triggered,
} from "../control.fixture.ts";

for (const kind of STORES) {
  describe(`deployments over HTTP, store ${kind}`, () => {
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
    const parts: Parts = { running: () => running, client: () => client };
    changing(parts);
    failing(parts);
    refusing(parts);
    following(parts);
    looking(parts);
  });
}

interface Parts {
  readonly running: () => TestControl;
  readonly client: () => Client;
}

/** One function, of this source and configuration. */
async function requestOf(client: Client, app: string, name: string, source: string, config: FunctionConfig = CONFIG) {
  return { app, functions: { [name]: { config, source: await client.upload(source) } } };
}

function changesOf(deployment: Deployment): string[] {
  assert.equal(deployment.state, "done", JSON.stringify(deployment.functions));
  return deployment.functions.map((one) => `${one.function} ${one.change} ${one.revision ?? "-"}`);
}

function changing({ running, client }: Parts): void {
  test("a new function is built and released; the same again is unchanged and builds nothing", async () => {
    const request = await requestOf(client(), "first", "hello", "code");
    const done = await client().deploy(request);
    assert.deepEqual(changesOf(done), ["hello created r1"]);
    assert.equal(done.functions[0]?.url, "/fn/first/hello");
    const { builds } = running().builder;
    const number = running().control.feed.number();
    assert.deepEqual(changesOf(await client().deploy(request)), ["hello unchanged r1"]);
    assert.equal(running().builder.builds, builds);
    assert.equal(running().control.feed.number(), number);
  });

  test("code makes a new revision and a build, environment a new revision and none, policy neither", async () => {
    const deploy = async (source: string, config?: FunctionConfig) =>
      changesOf(await client().deploy(await requestOf(client(), "steps", "hello", source, config)));
    await deploy("one");
    const { builds } = running().builder;
    const environment = { GREETING: "hello" };
    assert.deepEqual(await deploy("one", { ...CONFIG, environment }), ["hello configured r2"]);
    const policy = { ...CONFIG.policy, limits: { bodyBytes: 10 } };
    assert.deepEqual(await deploy("one", { ...CONFIG, environment, policy }), ["hello policy r2"]);
    assert.equal(running().builder.builds, builds);
    assert.deepEqual(await deploy("two", { ...CONFIG, environment, policy }), ["hello updated r3"]);
    assert.equal(running().builder.builds, builds + 1);
    const revisions = await client().ask("listRevisions", { params: { app: "steps", function: "hello" } });
    const [third, second, first] = revisions.body.items;
    assert.deepEqual([third.revision, second.revision, first.revision], ["r3", "r2", "r1"]);
    assert.deepEqual(second.bundle, first.bundle);
    assert.notDeepEqual(third.bundle, second.bundle);
    assert.deepEqual([first.environment, second.environment], [{}, environment]);
    const shown = await client().ask("getFunction", { params: { app: "steps", function: "hello" } });
    assert.deepEqual(shown.body.config, { ...CONFIG, environment, policy });
    assert.deepEqual(shown.body.live, [{ revision: "r3", weight: 100 }]);
  });

  test("functions that are not named stay, and go with prune", async () => {
    for (const name of ["a", "b"]) await client().deploy(await requestOf(client(), "pruned", name, name));
    const request = await requestOf(client(), "pruned", "c", "c");
    assert.deepEqual(changesOf(await client().deploy(request)), ["c created r1"]);
    const pruned = await client().deploy({ ...request, prune: true });
    assert.deepEqual(changesOf(pruned), ["c unchanged r1", "a removed -", "b removed -"]);
    const { body } = await client().ask("listFunctions", { params: { app: "pruned" } });
    assert.deepEqual(
      body.items.map((one: { function: string }) => one.function),
      ["c"],
    );
  });

  test("deployments of one app run in their order, and the last one wins", async () => {
    let building = 0;
    running().builder.before = async () => {
      building++;
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(building--, 1);
    };
    const ids: string[] = [];
    for (const source of ["1", "2", "3"]) {
      const body = await requestOf(client(), "ordered", "hello", source);
      ids.push((await client().ask("createDeployment", { body })).body.id);
    }
    const done = await Promise.all(ids.map((id) => client().ended(id)));
    running().builder.before = () => {};
    assert.deepEqual(done.map(changesOf), [["hello created r1"], ["hello updated r2"], ["hello updated r3"]]);
  });

  test("deployments of different apps run side by side", async () => {
    const both = Promise.withResolvers<void>();
    let building = 0;
    running().builder.before = async () => {
      if (++building === 2) both.resolve();
      await both.promise;
    };
    const requests = await Promise.all(["left", "right"].map((app) => requestOf(client(), app, "hello", app)));
    const done = await Promise.all(requests.map((request) => client().deploy(request)));
    running().builder.before = () => {};
    assert.deepEqual(done.map(changesOf), [["hello created r1"], ["hello created r1"]]);
  });

  test("the plans follow, and a deleted function takes them along", async () => {
    const { feed } = running().control;
    const start = feed.number();
    await client().deploy(await requestOf(client(), "planned", "hello", "code", triggered("GET /planned/{id}")));
    const routes = (await feed.changesSince("routes", start))!;
    assert.equal(routes.number, feed.number());
    assert.deepEqual(
      routes.entries.map((entry) => [entry.kind, entry.key]),
      [["put", "default/planned/hello"]],
    );
    const launches = (await feed.changesSince("launches", start))!;
    assert.deepEqual(
      launches.entries.map((entry) => entry.key),
      ["default/planned/hello@r1"],
    );
    const before = feed.number();
    let told = 0;
    feed.onChange(() => told++);
    await client().ask("deleteFunction", { params: { app: "planned", function: "hello" } });
    assert.equal(told, 1);
    for (const [topic, key] of [
      ["routes", "default/planned/hello"],
      ["launches", "default/planned/hello@r1"],
    ] as const)
      assert.deepEqual((await feed.changesSince(topic, before))!.entries, [{ kind: "remove", key }]);
  });
}

function failing({ running, client }: Parts): void {
  test("one function that fails fails them all, releases none, and says which and why", async () => {
    running().builder.before = ({ config }) => {
      if (config.environment.FAIL !== undefined) throw new PlatformError("build-failed", "index.mjs:3: unexpected }");
    };
    const source = await client().upload("code");
    const config = { ...CONFIG, environment: { FAIL: "1" } };
    const request = { app: "failing", functions: { good: { config: CONFIG, source }, bad: { config, source } } };
    const failed = await client().deploy(request);
    assert.equal(failed.state, "failed");
    assert.deepEqual(
      failed.functions.map(({ function: name, state, error }) => [name, state, error]),
      [
        ["good", "failed", { code: "build-failed", message: "Not released, because bad failed." }],
        ["bad", "failed", { code: "build-failed", message: "index.mjs:3: unexpected }" }],
      ],
    );
    assert.equal((await client().ask("getApp", { params: { app: "failing" } })).status, 404);
    const events = await eventsOf(client(), failed.id);
    assert.equal(events.at(-1)?.text, "failed: bad: index.mjs:3: unexpected }");
    running().builder.before = () => {};
    assert.deepEqual(changesOf(await client().deploy(request)), ["good created r1", "bad created r1"]);
  });

  test("a failure of the platform's own says so", async () => {
    running().builder.before = () => {
      throw new TypeError("undefined is not a builder");
    };
    const failed = await client().deploy(await requestOf(client(), "broken", "hello", "code"));
    running().builder.before = () => {};
    assert.equal(failed.functions[0]?.error?.code, "internal");
    assert.match(failed.functions[0]?.error?.message ?? "", /undefined is not a builder/);
  });

  test("a function deleted while its deployment builds is made anew", async () => {
    await client().deploy(await requestOf(client(), "deleted", "hello", "one"));
    running().builder.before = async () => {
      running().builder.before = () => {};
      await client().ask("deleteFunction", { params: { app: "deleted", function: "hello" } });
    };
    const done = await client().deploy(await requestOf(client(), "deleted", "hello", "two"));
    assert.deepEqual(changesOf(done), ["hello created r2"]);
  });
}

function refusing({ client }: Parts): void {
  const refused = async (request: DeploymentRequest, status: number, code: string, detail: RegExp) => {
    const { body, ...answer } = await client().ask("createDeployment", { body: request });
    assert.deepEqual([answer.status, body.code], [status, code], body.detail);
    assert.match(body.detail, detail);
    return body;
  };

  test("what is wrong beyond the shape is refused, all of it at once, before it becomes a job", async () => {
    const source = await client().upload("code");
    const config: FunctionConfig = {
      ...triggered("FETCH /x", "/fn/mine", "/a/{b}c", "/{rest*}/more"),
      handler: "../../etc/passwd",
      environment: { "NO-NAME": "1", COLIBRI_HOME: "/" },
    };
    const scaling = { min: 5, max: 2, keepAliveMs: 0 };
    const all = { ...config, policy: { ...config.policy, scaling } };
    const problem = await refused(
      { app: "wrong", functions: { "Not a name": { config: all, source } } },
      400,
      "request-invalid",
      /name/,
    );
    const paths = problem.errors.map((one: { path: string }) => one.path.replace("functions.Not a name", "f"));
    assert.deepEqual(paths.sort(), [
      "f",
      "f.config.environment.COLIBRI_HOME",
      "f.config.environment.NO-NAME",
      "f.config.handler",
      "f.config.policy.scaling",
      "f.config.policy.triggers[0]",
      "f.config.policy.triggers[1]",
      "f.config.policy.triggers[2]",
      "f.config.policy.triggers[3]",
    ]);
    assert.deepEqual((await client().ask("listDeployments", { query: { app: "wrong" } })).body.items, []);
  });

  test("runtimes: unknown, absent, of another version", async () => {
    const source = await client().upload("code");
    const using = (runtime: string, handler = "index.mjs") => ({
      app: "wrong",
      functions: { a: { config: { ...CONFIG, runtime, handler }, source } },
    });
    await refused(using("cobol"), 422, "runtime-unknown", /no runtime "cobol"\. There is: nodejs, python/);
    await refused(using("python", "handler.py"), 422, "runtime-unknown", /apt install python3/);
    await refused(using("nodejs20"), 422, "runtime-unknown", /nodejs 24\.21\.0 here, not "nodejs20"/);
    const versioned = await client().deploy({ ...using("nodejs24"), app: "versioned" });
    assert.equal(versioned.state, "done");
  });

  test("a source that was not uploaded, and no function at all", async () => {
    const source = `sha256:${"1".repeat(64)}`;
    await refused(
      { app: "wrong", functions: { a: { config: CONFIG, source } } },
      400,
      "request-invalid",
      /has not been uploaded: PUT/,
    );
    await refused({ app: "wrong", functions: {} }, 400, "request-invalid", /names no function/);
  });

  test("a claimed trigger is a conflict that names who has it", async () => {
    await client().deploy(await requestOf(client(), "owner", "hello", "code", triggered("GET /claimed/{id}")));
    const request = await requestOf(client(), "other", "mine", "code", triggered("GET /claimed/{name}"));
    await refused(request, 409, "conflict", /mine: .*"GET \/claimed\/{name}" is claimed by owner\/hello/);
    const source = await client().upload("code");
    const twice = { config: triggered("/twice"), source };
    await refused({ app: "other", functions: { a: twice, b: twice } }, 409, "conflict", /b: .*claimed by other\/a/);
    await refused(
      await requestOf(client(), "other", "mine", "x", triggered("GET /claimed/{x}")),
      409,
      "conflict",
      /owner/,
    );
  });

  test("timers are kept, with a warning", async () => {
    const config = { ...CONFIG, policy: { ...CONFIG.policy, triggers: [{ timer: "*/5 * * * *" }] } };
    const done = await client().deploy(await requestOf(client(), "timed", "hello", "code", config));
    assert.deepEqual(done.warnings, ["hello: timer triggers are kept, but this version does not fire them."]);
  });

  test("memory that is rounded up is told", async () => {
    const warningsFor = async (memoryMiB: number) => {
      const body = await requestOf(client(), "sized", "hello", "code", { ...CONFIG, memoryMiB });
      return (await client().deploy(body)).warnings;
    };
    assert.deepEqual(await warningsFor(100), ["hello: its sandboxes have 128 MiB (100 rounded up)."]);
    assert.deepEqual(await warningsFor(128), []);
  });

  test("an idempotency key: same body, same deployment; other body, conflict", async () => {
    const body = await requestOf(client(), "keyed", "hello", "code");
    const headers = { "idempotency-key": "once" };
    const first = await client().ask("createDeployment", { body, headers });
    await client().ended(first.body.id);
    const reordered = { functions: body.functions, app: body.app };
    const again = await client().ask("createDeployment", { body: reordered, headers });
    assert.deepEqual([again.status, again.body.id], [202, first.body.id]);
    assert.equal(again.headers.get("location"), `/v1/tenants/default/deployments/${first.body.id}`);
    const other = await client().ask("createDeployment", { body: { ...body, prune: true }, headers });
    assert.deepEqual([other.status, other.body.code], [409, "conflict"]);
    const { body: listed } = await client().ask("listDeployments", { query: { app: "keyed" } });
    assert.equal(listed.items.length, 1);
  });
}

async function eventsOf(client: Client, id: string, after = 0): Promise<DeploymentEvent[]> {
  const { body } = await client.ask("followDeployment", { params: { id }, query: { after } });
  return String(body)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

function following({ running, client }: Parts): void {
  test("events come as they happen, and again from any number", async () => {
    const printed = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const seen = Promise.withResolvers<void>();
    running().builder.before = async ({ onOutput }) => {
      onOutput("added 1 package");
      printed.resolve();
      await goOn.promise;
      onOutput("added 2 packages");
      await seen.promise;
    };
    const request = await requestOf(client(), "followed", "hello", "code");
    const { id } = (await client().ask("createDeployment", { body: request })).body;
    await printed.promise;
    const response = await client().raw("followDeployment", { params: { id } });
    assert.match(response.headers.get("content-type") ?? "", /^application\/x-ndjson/);
    const texts: string[] = [];
    let rest = "";
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop()!;
      texts.push(...lines.map((line) => JSON.parse(line).text));
      if (texts.includes("added 1 package")) goOn.resolve();
      if (texts.includes("added 2 packages")) seen.resolve();
    }
    running().builder.before = () => {};
    assert.deepEqual(texts, [
      "queued",
      "building",
      "copy",
      "added 1 package",
      "added 2 packages",
      "releasing",
      "done",
      "done",
    ]);
    const all = await eventsOf(client(), id);
    assert.deepEqual(
      all.map((event) => event.text),
      texts,
    );
    assert.deepEqual(
      all.map((event) => event.number),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.deepEqual(
      (await eventsOf(client(), id, 6)).map((event) => event.number),
      [7, 8],
    );
    assert.deepEqual(await eventsOf(client(), id, 8), []);
    assert.deepEqual(await eventsOf(client(), id, 700), []);
  });
}

function looking({ client }: Parts): void {
  test("pages: apps, deployments, revisions; each once, in order, with a cursor", async () => {
    const names = ["page-a", "page-b", "page-c"];
    for (const name of names) await client().deploy(await requestOf(client(), name, "hello", "code"));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query: Record<string, string | number> = { limit: 2, ...(cursor !== undefined && { cursor }) };
      const { body } = await client().ask("listApps", { query });
      seen.push(...body.items.map((one: { app: string }) => one.app));
      cursor = body.next;
    } while (cursor !== undefined);
    assert.deepEqual(seen, [...seen].sort());
    assert.deepEqual(
      seen.filter((name) => name.startsWith("page-")),
      names,
    );
    const newest = await client().ask("listDeployments", { query: { limit: 1 } });
    assert.equal(newest.body.items[0].app, "page-c");
    const older = await client().ask("listDeployments", { query: { limit: 1, cursor: newest.body.next } });
    assert.equal(older.body.items[0].app, "page-b");
  });

  test("a function's ETag guards its deletion", async () => {
    await client().deploy(await requestOf(client(), "guarded", "hello", "one"));
    const params = { app: "guarded", function: "hello" };
    const etag = (await client().ask("getFunction", { params })).headers.get("etag")!;
    assert.equal((await client().raw("getFunction", { params, headers: { "if-none-match": etag } })).status, 304);
    await client().deploy(await requestOf(client(), "guarded", "hello", "two"));
    const stale = await client().ask("deleteFunction", { params, headers: { "if-match": etag } });
    assert.deepEqual([stale.status, stale.body.code], [412, "precondition-failed"]);
    const current = (await client().ask("getFunction", { params })).headers.get("etag")!;
    assert.notEqual(current, etag);
    assert.equal((await client().ask("deleteFunction", { params, headers: { "if-match": current } })).status, 204);
    assert.equal((await client().ask("getFunction", { params })).status, 404);
  });

  test("an app is deleted with its functions; tenants do not see each other", async () => {
    const request = await requestOf(client(), "doomed", "hello", "code");
    await client().deploy(request);
    await client().upload("code", "acme");
    const theirs = await client().deploy(request, "acme");
    assert.equal(theirs.functions[0]?.url, "/fn/@acme/doomed/hello");
    assert.equal((await client().ask("deleteApp", { params: { app: "doomed" } })).status, 204);
    assert.equal((await client().ask("deleteApp", { params: { app: "doomed" } })).status, 404);
    const params = { app: "doomed", function: "hello" };
    assert.equal((await client().ask("getFunction", { params })).status, 404);
    assert.equal((await client().ask("getFunction", { params: { ...params, tenant: "acme" } })).status, 200);
    assert.equal((await client().ask("getDeployment", { params: { id: theirs.id } })).status, 404);
  });
}
