// Every template, as its user has it: `init` into a folder outside of the checkout, then what it says comes next, the call that
// `deploy` proposes, and all that its README says to type, the tests it brings among it; then calls that see whether it does what it is for.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CHECKOUT, type Platform, type Ran, startPlatform } from "./platform.ts";
import { blocksIn, commandsBelow, Shell, squeeze } from "./shell.ts";

const EXAMPLES = join(CHECKOUT, "examples");
const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/;

interface Description {
  readonly template: string;
  readonly language: string;
}
type Call = (path: string, options?: Parameters<Platform["call"]>[1]) => ReturnType<Platform["call"]>;

const describedAt = (folder: string) => join(EXAMPLES, folder, "template.json");
const folders = readdirSync(EXAMPLES).filter((folder) => existsSync(describedAt(folder)));

let platform: Platform;
let shell: Shell;
before(async () => {
  platform = await startPlatform();
  shell = new Shell(platform);
});
after(() => platform?.close());

const json = (body: unknown, method = "POST") => ({
  method,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
const signed = (secret: string, text: string) => createHmac("sha256", secret).update(text).digest("hex");

/** What each is for, beyond what its README shows. `call` takes what follows the function's address. */
const CHECKS: Record<string, (call: Call, folder: string) => Promise<void>> = {
  async hello(call) {
    const { status, json: answer } = await call("", json({ name: "Grace" }));
    assert.equal(status, 200);
    assert.match(JSON.stringify(answer), /Grace/);
  },

  async "rest-api"(call) {
    const created = await call("", json({ title: "Write tests" }));
    assert.equal(created.status, 201);
    const { status, json: task } = await platform.call(created.headers.location as string);
    assert.deepEqual([status, task], [200, created.json]);
    const refused = await call("", json({ title: "", colour: "red" }));
    assert.deepEqual([refused.status, Object.keys(refused.json.problems)], [422, ["title", "colour"]]);
    assert.equal((await call(`/${task.id}`, { method: "DELETE" })).status, 204);
    assert.equal((await call(`/${task.id}`)).status, 404);
    const put = await call("", json({}, "PUT"));
    assert.deepEqual([put.status, put.headers.allow], [405, "GET, HEAD, POST"]);
  },

  async hono(call) {
    const { headers } = await call("/hello/Ada");
    assert.equal((await call("/hello/Ada", { headers: { "if-none-match": headers.etag as string } })).status, 304);
    assert.equal((await call("/sum", json(["1"]))).status, 422);
    assert.equal((await call("/nothing")).status, 404);
  },

  async asgi(call) {
    const refused = await call("/readings/x", json({ value: "warm" }));
    assert.equal(refused.status, 422);
    assert.deepEqual(
      refused.json.detail.map(({ loc }: { loc: string[] }) => loc.join(".")),
      ["path.station", "body.place", "body.value"],
    );
    assert.deepEqual(Object.keys((await call("/openapi.json")).json.paths), [
      "/units",
      "/convert",
      "/readings/{station}",
    ]);
    assert.match((await call("/docs")).text, /<b>POST<\/b> \/readings\/\{station\}/);
  },

  async wsgi(call) {
    const text = "ein Wort\n".repeat(20_000);
    const { json: counted } = await call("/statistics", { method: "POST", body: text });
    assert.deepEqual(counted, { lines: 20_000, words: 40_000, characters: text.length });
    const escaped = await call("", { headers: { "user-agent": "<script>" } });
    assert.match(escaped.text, /Hello, &lt;script&gt;\./);
    assert.equal((await call("/countdown?from=2")).text, "2\n1\n0\n");
    assert.equal((await call("/statistics")).status, 405);
  },

  async page(call) {
    const body = new URLSearchParams({ name: "<b>Eve</b>", message: "Hi" }).toString();
    const form = { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body };
    const signedIn = await call("", form);
    assert.equal(signedIn.status, 303);
    const { text } = await platform.call(signedIn.headers.location as string);
    assert.match(text, /&lt;b&gt;Eve&lt;\/b&gt;/);
    const [, stylesheet] = /href="([^"]+\.css)"/.exec(text) ?? [];
    const asset = await platform.call(stylesheet!);
    assert.deepEqual([asset.status, asset.headers["content-type"]], [200, "text/css; charset=utf-8"]);
    assert.match(asset.headers["cache-control"] as string, /immutable/);
  },

  async events(call) {
    const { headers, text } = await call("/events?count=2");
    assert.equal(headers["content-type"], "text/event-stream");
    const [first, second] = [...text.matchAll(/^id: (.+)$/gm)].map(([, id]) => id!);
    const resumed = await call("/events?count=1", { headers: { "last-event-id": first! } });
    assert.ok(resumed.text.includes(`id: ${second}\n`), "it goes on after the event seen last");
    assert.match((await call("/events?count=1", { headers: { "last-event-id": "old-1" } })).text, /event: gap/);
    assert.match((await call("")).text, /new EventSource/);
  },

  async webhook(call) {
    const body = '{"action":"closed"}';
    const github = (signature: string, id: string) =>
      call("/github", {
        method: "POST",
        headers: { "x-hub-signature-256": signature, "x-github-delivery": id, "content-type": "application/json" },
        body,
      });
    const right = `sha256=${signed("change-me", body)}`;
    assert.deepEqual((await github(right, "7")).json, { taken: "7" });
    assert.deepEqual((await github(right, "7")).json, { duplicate: "7" });
    for (const wrong of [`sha256=${signed("guess", body)}`, "", "sha256=00"])
      assert.equal((await github(wrong, "8")).status, 401);
    const old = Math.floor(Date.now() / 1000) - 301;
    const stripe = `t=${old},v1=${signed("change-me", `${old}.${body}`)}`;
    const refused = await call("/stripe", { method: "POST", headers: { "stripe-signature": stripe }, body });
    assert.deepEqual([refused.status, /too old/.test(refused.json.error)], [401, true]);
  },

  async "detect-language"(call) {
    for (const [language, text] of [
      ["fi", "Lapset leikkivät ulkona puutarhassa."],
      ["uk", "Діти граються надворі в саду."],
      ["es", "¿Dónde está la estación de tren, por favor?"],
    ]) {
      const { json: answer } = await call("", {
        headers: { "content-type": "text/plain" },
        method: "POST",
        body: text!,
      });
      assert.equal(answer.language, language);
    }
    assert.equal((await call("", json({ text: "123" }))).status, 422);
  },

  // What these two do on real files is in examples.test.ts.
  async thumbnails(call, folder) {
    const photo = readFileSync(join(folder, "samples", "photo.jpg"));
    const { status, headers } = await call("?width=64", {
      method: "POST",
      headers: { "content-type": "image/jpeg" },
      body: photo,
    });
    assert.deepEqual([status, headers["content-type"]], [200, "image/jpeg"]);
  },

  async summary(call) {
    const { json: answer } = await call("", {
      method: "POST",
      headers: { "content-type": "text/csv" },
      body: "a,b\n1,x\n",
    });
    assert.deepEqual([answer.rows, Object.keys(answer.columns)], [1, ["a", "b"]]);
  },
};

/** Where whoever starts an app is: beside the checkout, not in it. */
const WORK = "..";

class Unreachable extends Error {}

/** @throws Unreachable where it fails because packages can't be had here. */
async function type(script: string, folder = WORK): Promise<Ran> {
  const ran = await shell.run(script, folder);
  const said = `${ran.out}${ran.err}`;
  if (ran.code !== 0 && UNREACHABLE.test(said)) throw new Unreachable(said);
  assert.equal(ran.code, 0, `${script}\n${said}`);
  return ran;
}

/** Gives the call that was proposed. */
async function followNextSteps(created: Ran, made: string): Promise<string> {
  const [tested, developed, deployed, called, ...more] = commandsBelow(created.out, "Next:");
  const commands = ["test", "dev", "deploy"].map((command) => `colibri ${command} ${made}`);
  assert.deepEqual([tested, developed, deployed, more], [...commands, []]);
  assert.match((await type(tested!)).out, /^[1-9]\d* passed in /m);
  const [proposed, logs, ...others] = commandsBelow((await type(deployed!)).out, "Try it:");
  // Both are right: one call is proposed, not two.
  assert.deepEqual([proposed, others], [called, []]);
  const { out } = await type(called!);
  const file = / --output (\S+)$/.exec(called!)?.[1];
  assert.match(file === undefined ? out : readFileSync(join(platform.place.work, file), "latin1"), /./);
  await type(logs!);
  return called!;
}

/** Tests, and what they need, are the user's own: they stay out of the bundle. */
async function assertNoTestsShip(made: string): Promise<void> {
  const { code, out, err } = await platform.colibri("deploy", made, "--dry-run", "--json");
  assert.equal(code, 0, err);
  assert.match(out, /\.(?:mjs|ts|py)"/);
  assert.doesNotMatch(out, /"[^"]*(?:\.test\.|test_|samples\/|train\.mjs)[^"]*"/);
}

async function tryTemplate(folder: string, { template, language }: Description): Promise<void> {
  const made = `made/${folder}`;
  const created = await type(`colibri init ${made} --template ${template} --language ${language}`);
  const at = join(platform.place.work, made);
  assert.ok(!existsSync(join(at, "template.json")));
  await assertNoTestsShip(at);
  const call = await followNextSteps(created, made);
  const readme = readFileSync(join(at, "README.md"), "utf8");
  const blocks = blocksIn(readme);
  assert.match(blocks[0]!.script, /^colibri deploy$/m);
  assert.doesNotMatch(readme, /npx colibri/);
  // A signature its README makes anew, to show how.
  if (!call.includes("signature")) assert.ok(blocks[0]!.script.includes(call.replace(`${made}/`, "")), call);
  for (const { script, output } of blocks) {
    const { out, err } = await type(script, join(WORK, made));
    if (output !== undefined) assert.equal(squeeze(out), squeeze(output));
    if (/--test |unittest/.test(script)) assert.match(`${out}${err}`, /^(?:ℹ pass|Ran) [1-9]/m);
  }
  const address = `${folder}/${/invoke [^/]+\/(\S+)/.exec(call)![1]}`;
  await CHECKS[template]!((path, options) => platform.call(address + path, options), at);
  assert.match((await type(`colibri test --deployed ${made}`)).out, /^[1-9]\d* passed in /m);
}

describe("templates", { concurrency: 3 }, () => {
  for (const folder of folders) {
    const described: Description = JSON.parse(readFileSync(describedAt(folder), "utf8"));
    test(folder, async (t) => {
      try {
        await tryTemplate(folder, described);
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        t.skip(`the npm registry can't be reached from here: ${error.message}`);
      }
    });
  }
});
