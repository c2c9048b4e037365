import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { headerValues } from "#guest/testing/driven-invocation.ts";
import { GuestDriver } from "#guest/testing/guest-driver.ts";
import { until, within } from "#guest/testing/limit.ts";

const command = { file: process.execPath, args: [fileURLToPath(new URL("./main.ts", import.meta.url))] };
const WINDOW = 256 * 1024;

async function ready(t: TestContext, body: string) {
  const guest = await GuestDriver.start(command);
  t.after(() => guest.stop());
  const source = `export default { async fetch(request, context) { ${body} } };`;
  return guest.ready({ handler: "index.mjs", files: { "index.mjs": source } });
}

const request = (method: string, path = "/", headers: string[] = []) => ({
  request: { method, path, query: "", headers: ["Host", "shop.example.com:8080", ...headers] },
});

/** Web-standard `fetch`, beyond what the shared suite asks of every HTTP style. */
describe("the Node guest's fetch", { concurrency: 2 }, () => {
  test("the URL has the scheme and host that the caller used, and cookies arrive as one", async (t) => {
    const { data } = await ready(
      t,
      "return Response.json([request.url, request.headers.get('cookie'), request.headers.get('x-two')]);",
    );
    const headers = ["Cookie", "a=1", "Cookie", "b=2", "X-Two", "1", "X-Two", "2"];
    const seen = async (more: string[]) =>
      JSON.parse((await data.invoke(request("GET", "/a%20b", [...headers, ...more]))).body.toString());
    assert.deepEqual(await seen([]), ["http://shop.example.com:8080/a%20b", "a=1; b=2", "1, 2"]);
    const [forwarded] = await seen(["X-Forwarded-Proto", "http", "X-Forwarded-Proto", "https"]);
    assert.equal(forwarded, "https://shop.example.com:8080/a%20b");
    const [spoofed] = await seen(["X-Forwarded-Proto", "https", "X-Forwarded-Proto", "http"]);
    assert.equal(spoofed, "http://shop.example.com:8080/a%20b", "the last word is the gateway's");
  });

  test("HEAD has the headers and no body, also where the body would have no end", async (t) => {
    const { control, data } = await ready(
      t,
      `const endless = new ReadableStream({ pull(it) { it.enqueue("x"); }, cancel() { console.log("cancelled"); } }, { highWaterMark: 0 });
       return new Response(request.url.endsWith("/endless") ? endless : "text", { headers: { "x-made": "yes" } });`,
    );
    for (const path of ["/text", "/endless"]) {
      const outcome = await data.invoke(request("HEAD", path));
      assert.deepEqual([outcome.kind, outcome.status, outcome.body.length], ["ok", 200, 0], path);
      assert.deepEqual(headerValues(outcome.headers, "x-made"), ["yes"], path);
    }
    await control.log((entry) => entry.text === "cancelled", "of the stream that nobody wants");
    assert.equal((await data.invoke(request("GET", "/text"))).body.toString(), "text");
  });

  test("forms and files, redirects with several cookies", async (t) => {
    const { data } = await ready(
      t,
      `const form = await request.formData();
       const file = form.get("file");
       const headers = new Headers({ location: "/" + form.get("name") + "-" + file.name + "-" + await file.text() });
       headers.append("set-cookie", "a=1; Path=/");
       headers.append("set-cookie", "b=2, with a comma");
       return new Response(null, { status: 303, headers });`,
    );
    const part = (disposition: string, text: string) =>
      `--B\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n${text}\r\n`;
    const body = `${part('name="name"', "cup")}${part('name="file"; filename="f.txt"', "content")}--B--\r\n`;
    const outcome = await data.invoke({
      ...request("POST", "/", ["Content-Type", "multipart/form-data; boundary=B"]),
      body,
    });
    assert.equal(outcome.status, 303, outcome.error?.message);
    assert.deepEqual(headerValues(outcome.headers, "location"), ["/cup-f.txt-content"]);
    assert.deepEqual(headerValues(outcome.headers, "set-cookie"), ["a=1; Path=/", "b=2, with a comma"]);
    const broken = await data.invoke({
      ...request("POST", "/", ["Content-Type", "multipart/form-data; boundary=B"]),
      body: "--B",
    });
    assert.deepEqual([broken.kind, broken.code, broken.error?.name], ["error", "function-error", "TypeError"]);
  });

  test("a stream that fails breaks its answer off, with the reason, and no other", async (t) => {
    const { control, data } = await ready(
      t,
      `let turn = 0;
       const pull = (it) => { if (turn++ === 2) throw new TypeError("the source broke"); it.enqueue("piece "); };
       return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }), { status: 201 });`,
    );
    const running = data.start(request("GET"));
    const outcome = await running.end();
    assert.deepEqual([outcome.kind, outcome.code, outcome.status], ["error", "function-error", 201]);
    assert.equal(outcome.body.toString(), "piece piece ");
    assert.equal(outcome.error?.message, "the source broke");
    const entry = await control.log((entry) => entry.text.includes("the source broke"), "of the failure");
    assert.equal(entry.invocation, running.id);
    assert.equal(await control.ping(), 0);
  });

  test("a stream is asked for no more than its reader takes", async (t) => {
    const { data } = await ready(
      t,
      `if (request.url.endsWith("/count")) return Response.json(globalThis.pulled);
       globalThis.pulled = 0;
       const pull = (it) => { globalThis.pulled++; it.enqueue(new Uint8Array(65_536)); };
       return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));`,
    );
    const stuck = data.start({ ...request("GET"), credit: false });
    await until(() => stuck.received === WINDOW, "a full window");
    const count = async () => Number((await data.invoke(request("GET", "/count"))).body.toString());
    assert.equal(await count(), 5, "four that were sent and one that waits");
    stuck.credit(2 * 65_536);
    await until(() => stuck.received === WINDOW + 2 * 65_536, "two more");
    assert.equal(await count(), 7);
    stuck.cancel();
    assert.equal((await stuck.end()).kind, "cancelled");
  });

  test("whoever listens to the signal hears that the caller has left, also when the request itself is garbage", async (t) => {
    const { control, data } = await ready(
      t,
      `const { setFlagsFromString } = await import("node:v8");
       const { runInNewContext } = await import("node:vm");
       setFlagsFromString("--expose-gc");
       request.signal.addEventListener("abort", () => console.log("left"));
       setTimeout(() => { runInNewContext("gc")(); console.log("collected"); });
       return new Response(new ReadableStream());`,
    );
    const running = data.start(request("GET"));
    await control.log((entry) => entry.text === "collected", "of the collection");
    running.cancel();
    assert.equal((await running.end()).kind, "cancelled");
    await control.log((entry) => entry.text === "left", "of the abort");
  });

  test("a caller that leaves while its body is read fails the read and aborts the signal", async (t) => {
    const { control, data } = await ready(
      t,
      `console.log("reading");
       try { await request.text(); } catch (error) { console.log("failed", request.signal.aborted, context.signal.aborted); throw error; }`,
    );
    const half = data.start({ ...request("POST"), body: "half", open: true });
    await control.log((entry) => entry.text === "reading", "of its start");
    half.cancel();
    assert.equal((await within(half.outcome, "end")).kind, "cancelled");
    await control.log((entry) => entry.text === "failed true true", "of the read");
  });
});
