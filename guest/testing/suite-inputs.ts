import assert from "node:assert/strict";
import { test } from "node:test";
import { REVISION } from "./driven-control.ts";
import type { InvokeOptions } from "./driven-data.ts";
import type { GuestSuite } from "./guest-suite.ts";

/** What a handler is given: the input by its content type, and the context. */
export function inputTests(suite: GuestSuite): void {
  const { functions } = suite;

  test("decodes the input by its content type", async (t) => {
    const { data } = await suite.ready(t, functions.kind);
    const cases: [string, InvokeOptions, unknown][] = [
      ["JSON", { contentType: "application/json", body: '{"a":[1,"ü"]}' }, { kind: "json", value: { a: [1, "ü"] } }],
      ["JSON null", { contentType: "application/json", body: "null" }, { kind: "nothing", value: null }],
      [
        "JSON, with a charset",
        { contentType: "Application/JSON; charset=utf-8", body: "[1]" },
        { kind: "json", value: [1] },
      ],
      ["a JSON dialect", { contentType: "application/problem+json", body: "[1]" }, { kind: "json", value: [1] }],
      ["text", { contentType: "text/plain; charset=utf-8", body: "grüße" }, { kind: "text", value: "grüße" }],
      ["other text", { contentType: "text/csv", body: "a,b" }, { kind: "text", value: "a,b" }],
      ["bytes", { contentType: "image/png", body: Buffer.from([0, 255]) }, { kind: "bytes", value: [0, 255] }],
      ["no type", { body: "ab" }, { kind: "bytes", value: [97, 98] }],
      ["nothing", {}, { kind: "nothing", value: null }],
      ["nothing, as JSON", { contentType: "application/json" }, { kind: "nothing", value: null }],
    ];
    for (const [name, options, expected] of cases) {
      const outcome = await data.invoke(options);
      assert.equal(outcome.kind, "ok", `${name}: ${outcome.error?.message}`);
      assert.deepEqual(JSON.parse(outcome.body.toString()), expected, name);
    }
    const request = { method: "POST", path: "/", query: "", headers: ["Content-Type", "application/json"] };
    const outcome = await data.invoke({ request, body: "[2]" });
    assert.deepEqual(
      JSON.parse(outcome.body.toString()),
      { kind: "json", value: [2] },
      "type from the request's headers",
    );
  });

  test("collects a body that comes in pieces, larger than the window", async (t) => {
    const { data } = await suite.ready(t, functions.echo);
    const body = Buffer.alloc(3 * 1024 * 1024, "abcdefg");
    const outcome = await data.invoke({ contentType: "application/octet-stream", body });
    assert.equal(outcome.kind, "ok");
    assert.ok(outcome.body.equals(body));
    const pieces = data.start({ contentType: "text/plain", body: "one ", open: true });
    await pieces.write(Buffer.from("two "));
    await pieces.finish(Buffer.from("three"));
    assert.equal((await pieces.end()).body.toString(), "one two three");
  });

  test("what is not what its type says is the caller's fault, and the next invocation works", async (t) => {
    const { data } = await suite.ready(t, functions.echo);
    for (const given of [
      { contentType: "application/json", body: '{"a":' },
      { contentType: "application/json", body: Buffer.from([0x22, 0xff, 0x22]) },
      { contentType: "text/plain", body: Buffer.from([0xff, 0xfe]) },
      { contentType: "text/plain; charset=no-such-charset", body: "x" },
    ]) {
      const outcome = await data.invoke(given);
      assert.deepEqual(
        [outcome.kind, outcome.code, outcome.status],
        ["error", "bad-input", undefined],
        given.contentType,
      );
      assert.ok(outcome.error!.message.includes(given.contentType.split(";")[0]!), outcome.error!.message);
    }
    assert.equal((await data.json("well")).body.toString(), "well");
  });

  test("gives the context of the invocation", async (t) => {
    const { data } = await suite.ready(t, functions.context);
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const request = {
      method: "PUT",
      path: "/things/7",
      query: "a=1&b=2&b=3&c=%C3%BC+x&__proto__=p",
      headers: ["Host", "example.org", "X-Twice", "1", "x-twice", "2"],
      params: { id: "7" },
    };
    const invocation = data.start({ request, trace, budgetMs: 5_000 });
    const seen = JSON.parse((await invocation.end()).body.toString());
    assert.equal(seen.invocation, invocation.id);
    const { tenant, app, function: name, revision } = seen;
    assert.deepEqual({ tenant, app, function: name, revision }, { ...REVISION });
    assert.equal(seen.trace, trace);
    assert.ok(seen.remainingMs > 0 && seen.remainingMs <= 5_000, String(seen.remainingMs));
    assert.ok(Math.abs(seen.deadlineMs - Date.now() - 5_000) < 5_000, String(seen.deadlineMs));
    assert.equal(seen.request.method, "PUT");
    assert.equal(seen.request.path, "/things/7");
    const { a, b, c } = seen.request.query;
    assert.deepEqual({ a, b, c }, { a: "1", b: ["2", "3"], c: "ü x" });
    assert.equal(seen.request.headers.host, "example.org");
    assert.equal(seen.request.headers["x-twice"], "1, 2");
    assert.deepEqual(seen.request.params, { id: "7" });
    const without = JSON.parse((await data.json({})).body.toString());
    assert.equal(without.request ?? null, null, "no request where there was none");
    assert.equal(without.trace ?? null, null);
  });
}
