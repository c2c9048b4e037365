import assert from "node:assert/strict";
import { test } from "node:test";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { headerValues } from "./driven-invocation.ts";
import type { GuestSuite } from "./guest-suite.ts";

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";
const BYTES_TYPE = "application/octet-stream";

/** Every form of an answer, and what becomes of a throw. */
export function answerTests(suite: GuestSuite): void {
  const { functions } = suite;

  test("answers in the form that fits what was returned", async (t) => {
    const { data } = await suite.ready(t, functions.answer);
    const cases: [string, number, string | undefined, string | Buffer][] = [
      ["nothing", 204, undefined, ""],
      ["text", 200, TEXT_TYPE, "grüße"],
      ["empty", 200, TEXT_TYPE, ""],
      ["bytes", 200, BYTES_TYPE, Buffer.from([0, 1, 255])],
      ["object", 200, JSON_TYPE, '{"a":1}'],
      ["array", 200, JSON_TYPE, "[1,2]"],
      ["number", 200, JSON_TYPE, "1.5"],
      ["true", 200, JSON_TYPE, "true"],
      ["false", 200, JSON_TYPE, "false"],
      ["texts", 200, TEXT_TYPE, "abü"],
      ["pieces", 200, BYTES_TYPE, Buffer.from([0, 1, 255])],
      ["none", 200, BYTES_TYPE, ""],
      ["large", 200, TEXT_TYPE, "x".repeat(1 << 20)],
    ];
    for (const [form, status, type, body] of cases) {
      const outcome = await data.json({ form });
      assert.equal(outcome.kind, "ok", `${form}: ${outcome.error?.message}`);
      assert.equal(outcome.status, status, form);
      assert.deepEqual(headerValues(outcome.headers, "content-type"), type === undefined ? [] : [type], form);
      assert.ok(outcome.body.equals(Buffer.from(body)), `${form}: ${outcome.body.toString().slice(0, 80)}`);
    }
  });

  test("a short answer is one frame", async (t) => {
    const { data } = await suite.ready(t, functions.answer);
    for (const form of ["nothing", "text", "bytes", "object"])
      assert.deepEqual((await data.json({ form })).frames, [GUEST_FRAMES.HEAD], form);
  });

  for (const name of ["error", "asyncError"] as const)
    test(`a throw is the user's error, with name, message and stack (${name})`, async (t) => {
      const { data } = await suite.ready(t, functions[name]);
      const thrown = await data.json({ form: "error" });
      assert.deepEqual([thrown.kind, thrown.code, thrown.status], ["error", "function-error", undefined]);
      assert.equal(thrown.error!.name, "TypeError");
      assert.equal(thrown.error!.message, "it broke");
      assert.ok(thrown.error!.stack, "a stack, for the log");
      for (const form of ["circular", "unserialisable"]) {
        const outcome = await data.json({ form });
        assert.deepEqual([outcome.kind, outcome.code], ["error", "answer-invalid"], form);
        assert.notEqual(outcome.error!.message, "", form);
      }
      const first = await data.json({ form: "first" });
      assert.deepEqual([first.kind, first.code, first.status], ["error", "function-error", undefined]);
      const late = await data.json({ form: "late" });
      assert.deepEqual([late.kind, late.code, late.status], ["error", "function-error", 200]);
      assert.equal(late.body.toString(), "a");
      assert.equal(late.error!.message, "it broke");
      if (suite.throwsOnlyExceptions) return;
      const text = await data.json({ form: "text" });
      assert.deepEqual([text.kind, text.code, text.error!.message], ["error", "function-error", "plain"]);
    });

  test("the log has the stack of a throw, tagged with the invocation", async (t) => {
    const { control, data } = await suite.ready(t, functions.error);
    const invocation = data.start({ contentType: "application/json", body: '{"form":"error"}' });
    await invocation.end();
    const entry = await control.log((entry) => entry.level === "error", "of the throw");
    assert.equal(entry.invocation, invocation.id);
    assert.match(entry.text, /TypeError: it broke/);
  });

  test("the HTTP style: status, headers, cookies, and answers that have no body", async (t) => {
    const { data } = await suite.ready(t, functions.http);
    const get = (path: string) => data.invoke({ request: { method: "GET", path, query: "", headers: [] } });
    const made = await get("/made");
    assert.equal(made.status, 201);
    assert.deepEqual(headerValues(made.headers, "set-cookie"), ["a=1", "b=2"]);
    assert.deepEqual(headerValues(made.headers, "x-made"), ["yes"]);
    assert.equal(made.body.toString(), "made");
    for (const [path, status] of [
      ["/empty", 204],
      ["/unchanged", 304],
    ] as const) {
      const outcome = await get(path);
      assert.deepEqual([outcome.kind, outcome.status, outcome.body.length], ["ok", status, 0], path);
    }
    const thrown = await get("/throw");
    assert.deepEqual([thrown.kind, thrown.code, thrown.error?.message], ["error", "function-error", "it broke"]);
  });

  test("the HTTP style: the request arrives as it was, or one is made where there was none", async (t) => {
    const { data } = await suite.ready(t, functions.http);
    const headers = ["Host", "example.org:8080", "X-Header", "h", "Content-Type", "text/plain"];
    const request = { method: "POST", path: "/about", query: "a=1&b=%20", headers };
    const seen = JSON.parse((await data.invoke({ request, body: "the body" })).body.toString());
    assert.deepEqual(seen, { method: "POST", path: "/about", query: "a=1&b=%20", header: "h", body: "the body" });
    const odd = { method: "GET", path: "/about", query: "", headers: ["Host", "]not a host["] };
    assert.equal(JSON.parse((await data.invoke({ request: odd })).body.toString()).method, "GET");
    assert.equal((await data.json({})).kind, "ok", "an invocation without a request");
  });
}
