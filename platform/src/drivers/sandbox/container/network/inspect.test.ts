import assert from "node:assert/strict";
import { test } from "node:test";
import { hostState, whyNotHere } from "./fake-internet.fixture.ts";
import { inspectNetwork } from "./inspect.ts";

test("names the programs that are not there, and how to get them", async () => {
  const lacks = await inspectNetwork({ searchPath: ["/nowhere"] });
  const missing = lacks.filter(({ kind }) => kind === "missing").map(({ what, remedy }) => `${what}: ${remedy}`);
  assert.ok(missing.includes("the program ip: apt-get install iproute2"));
  assert.ok(missing.includes("the program nft: apt-get install nftables"));
});

test("finds nothing missing where networks can be made, and changes nothing", { skip: whyNotHere() }, async () => {
  const before = hostState("colibri_000000");
  assert.deepEqual(
    (await inspectNetwork()).filter(({ kind }) => kind === "missing"),
    [],
  );
  assert.deepEqual(hostState("colibri_000000"), before);
});
