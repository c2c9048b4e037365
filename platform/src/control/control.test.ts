import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import { type Operation, ROUTES, type Route } from "#contract/api/routes.ts";
import { PlatformError } from "#contract/errors.ts";
import { hashToken } from "./access.ts";
import { type Client, type Medium, makeMedium, startControl, type TestControl } from "./control.fixture.ts";

const READER = { name: "reader", tenant: "acme", permissions: ["apps.read"] as const };

describe("the API", () => {
  let medium: Medium;
  let running: TestControl;
  let client: Client;
  before(async () => {
    medium = await makeMedium("memory");
    const tokens = [{ hash: hashToken("reader"), principal: READER }];
    running = await startControl(medium, { tokens, bodyBytes: 4_096 });
    client = running.client;
  });
  after(async () => {
    await running.control.close();
    await medium.remove();
  });

  test("the document has every row of the table, and no more, with its permission", async () => {
    const { body, status } = await client.as(null).ask("getOpenapi");
    assert.equal(status, 200);
    assert.match(body.openapi, /^3\.1\./);
    const documented: Record<string, unknown> = {};
    for (const [path, methods] of Object.entries(body.paths as Record<string, Record<string, Record<string, unknown>>>))
      for (const [method, operation] of Object.entries(methods))
        documented[String(operation.operationId)] = [`${method.toUpperCase()} ${path}`, operation["x-permission"]];
    const table = Object.entries(ROUTES as Record<string, Route>).map(([name, row]) => {
      const path = row.path.replace(/:([a-z]+)/g, "{$1}");
      return [name, [`${row.method} ${path}`, row.permission]];
    });
    assert.deepEqual(documented, Object.fromEntries(table));
  });

  test("every row of the table has a handler", async () => {
    for (const operation of Object.keys(ROUTES) as Operation[]) {
      const params = { app: "shop", function: "thumbnail", id: "1", digest: `sha256:${"0".repeat(64)}` };
      const { status, body } = await client.ask(operation, {
        params,
        ...(operation === "createDeployment" && { body: {} }),
      });
      assert.ok(status < 500 && status !== 405, `${operation} answered ${status}`);
      assert.doesNotMatch(String(body.detail), /^There is nothing at/, operation);
    }
  });

  test("every reference of the document leads somewhere, and named schemas keep their names", async () => {
    const { body } = await client.ask("getOpenapi");
    const references = [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
      (m) => m[1]!,
    );
    assert.ok(references.includes("Deployment") && references.includes("FunctionConfig"), references.join());
    for (const name of references) assert.ok(body.components.schemas[name], `${name} is referred to and missing`);
    assert.ok(!JSON.stringify(body).includes("$id"));
    assert.deepEqual(body.components.schemas.Deployment.required.slice(0, 3), ["id", "tenant", "app"]);
  });

  test("without a token only what is open to everybody answers", async () => {
    for (const operation of Object.keys(ROUTES) as Operation[]) {
      const { permission }: Route = ROUTES[operation];
      const params = { app: "shop", function: "thumbnail", id: "1", digest: `sha256:${"0".repeat(64)}` };
      for (const other of [client.as(null), client.as("wrong")]) {
        const { status, headers, body } = await other.ask(operation, { params });
        assert.equal(status === 401, permission !== "none", `${operation} answered ${status}`);
        if (permission === "none") continue;
        assert.match(headers.get("www-authenticate") ?? "", /^Bearer/);
        if (body !== "") assert.equal(body.code, "unauthorized");
      }
    }
  });

  test("a token gives what it permits, for its tenant", async () => {
    const reader = client.as("reader");
    assert.equal((await reader.ask("listApps", { params: { tenant: "acme" } })).status, 200);
    const lacking = await reader.ask("listDeployments", { params: { tenant: "acme" } });
    assert.deepEqual([lacking.status, lacking.body.code], [403, "forbidden"]);
    assert.match(lacking.body.detail, /lacks the permission "functions.read"/);
    const foreign = await reader.ask("listApps", { params: { tenant: "default" } });
    assert.equal(foreign.status, 403);
    assert.match(foreign.body.detail, /for the tenant "acme"/);
  });

  test("bound to loopback, it answers to no other name", async () => {
    const statusFor = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { port: running.port, path: "/healthz", headers: { host }, setHost: false };
        const asked = request(options, (response) => resolve(response.resume().statusCode));
        asked.on("error", reject).end();
      });
    for (const host of ["localhost", "LOCALHOST:8081", "127.0.0.1:1", "[::1]:8081"])
      assert.equal(await statusFor(host), 200, host);
    for (const host of ["evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.nip.io"])
      assert.equal(await statusFor(host), 403, host);
  });

  const wrong: [string, number, string, RegExp, string, string?, string?][] = [
    ["an unknown address", 404, "not-found", /nothing at \/v1\/nope/, "GET /v1/nope"],
    ["an unknown method", 405, "method-not-allowed", /takes GET, not POST/, "POST /v1/health"],
    ["broken JSON", 400, "bad-input", /JSON/, "POST /v1/tenants/default/deployments", "{oops", "application/json"],
    ["an empty body", 400, "bad-input", /empty/, "POST /v1/tenants/default/deployments", "", "application/json"],
    [
      "another content type",
      415,
      "media-type-unsupported",
      /application\/json/,
      "POST /v1/tenants/default/deployments",
      "a,b",
      "text/csv",
    ],
    [
      "a body too large",
      413,
      "body-too-large",
      /larger/,
      "POST /v1/tenants/default/deployments",
      `"${"x".repeat(5_000)}"`,
      "application/json",
    ],
    ["a tenant that can't be", 400, "request-invalid", /tenant: .*Lower-case/, "GET /v1/tenants/Big/apps"],
    [
      "a query that is no number",
      400,
      "request-invalid",
      /limit: must be an integer, got "ten"/,
      "GET /v1/tenants/default/apps?limit=ten",
    ],
    [
      "a query out of range",
      400,
      "request-invalid",
      /limit: .*1000, got 5000/,
      "GET /v1/tenants/default/apps?limit=5000",
    ],
    [
      "an unknown query",
      400,
      "request-invalid",
      /"colour" is not known here; there is cursor, limit/,
      "GET /v1/tenants/default/apps?colour=red",
    ],
    ["a cursor of nobody's", 400, "request-invalid", /cursor/, "GET /v1/tenants/default/apps?cursor=abc"],
    ["a percent sign gone wrong", 400, "bad-request", /percent-encoding/, "GET /v1/tenants/%zz/apps"],
    ["an absent app", 404, "not-found", /no app "shop"/, "GET /v1/tenants/default/apps/shop"],
    [
      "an absent function",
      404,
      "not-found",
      /no function "shop\/a"/,
      "DELETE /v1/tenants/default/apps/shop/functions/a",
    ],
    ["an absent deployment", 404, "not-found", /no deployment "1"/, "GET /v1/tenants/default/deployments/1/events"],
  ];
  for (const [what, status, code, detail, line, body, type] of wrong) {
    test(`${what} is answered as a problem: ${status} ${code}`, async () => {
      const [method, path] = line.split(" ") as [string, string];
      const response = await fetch(client.url + path, {
        method,
        headers: { authorization: "Bearer token-of-the-test", ...(type && { "content-type": type }) },
        ...(body !== undefined && { body }),
      });
      assert.match(response.headers.get("content-type") ?? "", /^application\/problem\+json/);
      const problem = (await response.json()) as Record<string, unknown>;
      assert.deepEqual([response.status, problem.status, problem.code], [status, status, code]);
      assert.match(String(problem.detail), detail);
      assert.equal(problem.type, `docs/errors.md#${code}`);
      assert.equal(response.headers.get("colibri-request-id"), problem.requestId);
      if (status === 405) assert.equal(response.headers.get("allow"), "GET");
    });
  }

  test("every mistake of a body is named with its place and what would be right", async () => {
    const config = { ...CONFIG, memoryMiB: "128", execution: "fast", handler: undefined, extra: 1 };
    const triggers = [{ http: "/x" }, { cron: "* * * * *" }];
    const body = {
      app: "Shop",
      functions: { a: { config: { ...config, policy: { ...CONFIG.policy, triggers } }, source: "sha256:1" } },
    };
    const { status, body: problem } = await client.ask("createDeployment", { body });
    assert.equal(status, 400);
    const errors = Object.fromEntries(
      problem.errors.map(({ path, message }: { path: string; message: string }) => [path, message]),
    );
    assert.match(errors.app, /got "Shop": Lower-case letters/);
    assert.equal(errors["functions.a.config.memoryMiB"], 'must be an integer, got "128"');
    assert.match(errors["functions.a.config.execution"], /"loop" or "threads" or "process", got "fast"/);
    assert.match(errors["functions.a.config"], /"handler" is missing|"extra" is not known/);
    assert.match(errors["functions.a.config.policy.triggers[1]"], /an object with http or an object with timer/);
    assert.match(errors["functions.a.source"], /64 hexadecimal/);
  });

  /** What is answered until the connection is closed. */
  const exchange = (bytes: string) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(running.port, "127.0.0.1", () => socket.write(bytes));
      let text = "";
      socket.on("data", (data) => {
        text += data;
      });
      socket.on("end", () => resolve(text)).on("error", reject);
    });

  test("a body in any coding but chunked is refused, and its connection closed", async () => {
    const post = (coding: string) =>
      `POST /v1/tenants/default/deployments HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`;
    for (const coding of ["gzip, chunked", ", chunked", "identity"]) {
      const answer = await exchange(post(coding));
      assert.match(answer, /^HTTP\/1\.1 400 [\s\S]*"code":"bad-request"/, coding);
    }
    const understood = await exchange(post("CHUNKED").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    assert.match(understood, /^HTTP\/1\.1 401 /);
  });

  test("what is no HTTP gets a problem and a closed connection", async () => {
    const answer = await exchange("HELLO\r\n\r\n");
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.match(answer, /"code":"bad-request"/);
  });

  test("a failure of the platform is not the caller's to read, but the log's", async () => {
    const failing = await startControl(medium, {
      deps: {
        metrics: () => {
          throw new Error("secret path /etc/colibri");
        },
      },
    });
    const { status, body } = await failing.client.ask("getMetrics");
    await failing.control.close();
    assert.deepEqual([status, body.code], [500, "internal"]);
    assert.ok(!JSON.stringify(body).includes("secret"));
    const line = failing.logged.find((one) => one.message === "request failed");
    assert.equal(line?.requestId, body.requestId);
  });

  test("health, runtimes, metrics and liveness say what main told control", async () => {
    const health = await client.ask("getHealth");
    assert.deepEqual([health.status, health.body.status, health.body.sandbox.technology], [200, "ok", "process"]);
    const runtimes = await client.ask("listRuntimes");
    assert.deepEqual(
      runtimes.body.items.map((one: { name: string }) => one.name),
      ["nodejs", "python"],
    );
    const metrics = await client.ask("getMetrics");
    assert.equal(metrics.body, "up 1\n");
    assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.equal((await client.as(null).ask("getLiveness")).body, "ok\n");
  });

  test("a place that can't be written makes the platform degraded, and is told", async () => {
    const since = new Date(0).toISOString();
    const problem = { what: "records", path: "/home/control", problem: "full", remedy: "Free some room.", since };
    const other = await startControl(medium, { deps: { storage: async () => [problem] } });
    const { body } = await other.client.ask("getHealth");
    await other.control.close();
    assert.equal(body.status, "degraded");
    assert.deepEqual(body.storage, [problem]);
  });

  test("a role that is away makes the platform degraded", async () => {
    const since = new Date(0).toISOString();
    const roles = () => [{ role: "gateway", instance: "gateway-1", pid: 1, state: "away" as const, since }];
    const other = await startControl(medium, { deps: { roles } });
    assert.equal((await other.client.ask("getHealth")).body.status, "degraded");
    await other.control.close();
  });
});

test("a taken port is refused with address, port and what to do", async () => {
  const medium = await makeMedium("memory");
  const first = await startControl(medium);
  const second = startControl(medium, { port: first.port });
  await assert.rejects(second, (error) => {
    assert.ok(error instanceof PlatformError);
    assert.ok(error.message.includes(`port ${first.port} on 127.0.0.1 is taken`), error.message);
    assert.match(error.message, /COLIBRI_CONTROL_PORT/);
    return true;
  });
  await first.control.close();
  await first.control.close();
});
