import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { createGuestbook } from "./index.mjs";

const CONTEXT = { app: "page", function: "guestbook" };
let guestbook;
beforeEach(() => {
  guestbook = createGuestbook(() => new Date("2030-01-01T00:00:00Z"));
});

const get = (path = "/", headers = {}) => guestbook.fetch(new Request(`http://localhost${path}`, { headers }), CONTEXT);
const sign = (fields, headers = {}) =>
  guestbook.fetch(
    new Request("http://localhost/", { method: "POST", body: new URLSearchParams(fields), headers }),
    CONTEXT,
  );

test("who signs is sent back to the page, which shows it", async () => {
  const answer = await sign({ name: "Ada", message: "Hello" });
  assert.deepEqual([answer.status, answer.headers.get("location")], [303, "/fn/page/guestbook"]);
  const page = await (await get()).text();
  assert.match(page, /<article><p>Hello<\/p><footer>Ada, <time datetime="2030-01-01T00:00:00.000Z">2030-01-01</);
});

test("whatever is sent is shown as text, never as HTML", async () => {
  const attack = `"><script>alert('x')</script>&amp;`;
  await sign({ name: attack, message: attack });
  const rejected = await sign({ name: attack, message: "" });
  for (const page of [await (await get()).text(), await rejected.text()]) {
    assert.ok(!page.includes("<script"), page);
    assert.match(page, /&quot;&gt;&lt;script&gt;alert\(&#39;x&#39;\)&lt;\/script&gt;&amp;amp;/);
  }
});

test("what is missing or too long is told, and what was typed is kept", async () => {
  const answer = await sign({ name: "Ada", message: " " });
  const page = await answer.text();
  assert.equal(answer.status, 422);
  assert.match(page, /Say something\./);
  assert.match(page, /value="Ada"/);
  for (const fields of [
    { name: "", message: "a" },
    { name: "a".repeat(81), message: "a" },
    { name: "a", message: "a".repeat(2001) },
  ])
    assert.equal((await sign(fields)).status, 422);
  assert.ok(!(await (await get()).text()).includes("<article>"));
});

test("a form of another site is not taken", async () => {
  assert.equal((await sign({ name: "a", message: "a" }, { "sec-fetch-site": "cross-site" })).status, 403);
});

test("the page's assets may be kept for ever, the page may not", async () => {
  const page = await get();
  assert.equal(page.headers.get("cache-control"), "no-store");
  assert.match(page.headers.get("content-security-policy"), /default-src 'none'/);
  const links = [...(await page.text()).matchAll(/(?:href|src)="\/fn\/page\/guestbook(\/assets\/[^"]+)"/g)];
  assert.equal(links.length, 2);
  for (const [, path] of links) {
    const asset = await get(path);
    assert.match(asset.headers.get("cache-control"), /immutable/);
    assert.match(asset.headers.get("content-type"), /css|svg/);
    const again = await get(path, { "if-none-match": asset.headers.get("etag") });
    assert.equal(again.status, 304);
  }
});

test("other paths and methods, and assets of another version, are not there", async () => {
  for (const path of ["/nothing", "/assets/old/style.css", "/assets/../index.mjs"])
    assert.equal((await get(path)).status, 404);
  const put = await guestbook.fetch(new Request("http://localhost/", { method: "PUT" }), CONTEXT);
  assert.deepEqual([put.status, put.headers.get("allow")], [405, "GET, HEAD, POST"]);
});
