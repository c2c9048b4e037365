import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { beforeEach, test } from "node:test";
import { createReceiver, init } from "./index.mjs";
import { checkGitHub, checkStripe } from "./signature.mjs";

const SECRETS = { GITHUB_SECRET: "It's a Secret to Everybody", STRIPE_SECRET: "whsec_test" };
const NOW_S = 1_700_000_000;
const hmac = (secret, text) => createHmac("sha256", secret).update(text).digest("hex");

let handled;
let receiver;
beforeEach(() => {
  handled = [];
  receiver = createReceiver({ secrets: SECRETS, nowS: () => NOW_S, handle: (delivery) => handled.push(delivery) });
});

async function post(path, body, headers) {
  const response = await receiver.fetch(new Request(`http://localhost${path}`, { method: "POST", body, headers }));
  return [response.status, await response.json()];
}

const github = (body, headers = {}) =>
  post("/github", body, {
    "x-hub-signature-256": `sha256=${hmac(SECRETS.GITHUB_SECRET, body)}`,
    "x-github-delivery": "d1",
    "x-github-event": "issues",
    ...headers,
  });
const stripe = (body, { t = NOW_S, secret = SECRETS.STRIPE_SECRET } = {}) =>
  post("/stripe", body, { "stripe-signature": `t=${t},v1=${hmac(secret, `${t}.${body}`)}` });

test("the example in GitHub's documentation is right", () => {
  const signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  assert.equal(checkGitHub(SECRETS.GITHUB_SECRET, Buffer.from("Hello, World!"), signature), undefined);
});

test("what is signed is handled", async () => {
  assert.deepEqual(await github('{"action":"opened"}'), [200, { taken: "d1" }]);
  assert.deepEqual(await stripe('{"id":"evt_1","type":"charge.succeeded"}'), [200, { taken: "evt_1" }]);
  assert.deepEqual(
    handled.map(({ from, id, kind }) => [from, id, kind]),
    [
      ["github", "d1", "issues"],
      ["stripe", "evt_1", "charge.succeeded"],
    ],
  );
});

test("wrong, missing and misshapen signatures are refused, and nothing is handled", async () => {
  const wrong = `sha256=${hmac("another", "{}")}`;
  for (const [header, message] of [
    [wrong, /not right/],
    ["", /missing/],
    ["sha1=abc", /not of the form/],
    [`${wrong}00`, /not of the form/],
  ]) {
    const [status, { error }] = await github("{}", { "x-hub-signature-256": header });
    assert.equal(status, 401);
    assert.match(error, message);
  }
  assert.equal((await stripe("{}", { secret: "another" }))[0], 401);
  for (const header of ["", "t=1", `v1=${hmac("a", "b")}`, "t=now,v1=x"])
    assert.equal((await post("/stripe", "{}", { "stripe-signature": header }))[0], 401, header);
  assert.deepEqual(handled, []);
});

test("a signature of another body is refused", async () => {
  const signature = `sha256=${hmac(SECRETS.GITHUB_SECRET, '{"amount":1}')}`;
  assert.equal((await github('{"amount":1000}', { "x-hub-signature-256": signature }))[0], 401);
});

test("a message may be five minutes old, and no older; nor from the future", async () => {
  assert.equal((await stripe('{"id":"a"}', { t: NOW_S - 300 }))[0], 200);
  for (const t of [NOW_S - 301, NOW_S + 301]) {
    const [status, { error }] = await stripe('{"id":"b"}', { t });
    assert.equal(status, 401);
    assert.match(error, /too old/);
  }
});

test("one of two signatures suffices while a secret is changed", () => {
  const body = Buffer.from("{}");
  const header = `t=${NOW_S},v1=${hmac("old", `${NOW_S}.{}`)},v1=${hmac("new", `${NOW_S}.{}`)}`;
  for (const secret of ["old", "new"]) assert.equal(checkStripe(secret, body, header, { nowS: NOW_S }), undefined);
});

test("what is sent again is not handled again, unless handling it failed", async () => {
  await github("{}");
  assert.deepEqual(await github("{}"), [200, { duplicate: "d1" }]);
  assert.equal(handled.length, 1);
  let attempts = 0;
  receiver = createReceiver({
    secrets: SECRETS,
    nowS: () => NOW_S,
    handle: () => {
      if (++attempts === 1) throw new Error("away");
    },
  });
  await assert.rejects(github("{}"), /away/);
  assert.deepEqual(await github("{}"), [200, { taken: "d1" }]);
});

test("other paths, methods and bodies are refused", async () => {
  assert.equal((await post("/", "{}"))[0], 404);
  assert.equal((await receiver.fetch(new Request("http://localhost/github"))).status, 405);
  assert.equal((await github("payload=%7B%7D"))[0], 400);
});

test("without a secret it does not start", (t) => {
  t.mock.method(console, "warn", () => {});
  process.env.GITHUB_SECRET = "change-me";
  process.env.STRIPE_SECRET = "";
  assert.throws(init, /STRIPE_SECRET is not set/);
  process.env.STRIPE_SECRET = "x";
  init();
  assert.match(console.warn.mock.calls[0].arguments[0], /GITHUB_SECRET is still "change-me"/);
});
