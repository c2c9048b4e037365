// What only the command line and a whole platform together show.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CuttingProxy } from "./cutting-proxy.ts";
import { node, type Platform, signal, startPlatform } from "./platform.ts";

const MIB = 1024 * 1024;
const DATA = randomBytes(32 * MIB);
/** What a connection carries before it is cut: three or more are needed. */
const CARRIED = 12 * MIB;

const CODE = `import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
export default () => createHash("sha256").update(readFileSync(new URL("data.bin", import.meta.url))).digest("hex");
`;

let platform: Platform;
before(async () => {
  platform = await startPlatform();
});
after(() => platform?.close());

describe("an upload over connections that are cut", () => {
  let proxy: CuttingProxy;
  let url: string;
  before(async () => {
    proxy = new CuttingProxy(platform.controlUrl, CARRIED);
    url = await proxy.open();
  });
  after(() => proxy?.close());

  test("goes on where it was, through a kill of control, and arrives whole", async () => {
    const folder = platform.writeApp("big", { data: node(CODE) });
    writeFileSync(join(folder, "data", "data.bin"), DATA);
    const killed: number[] = [];
    proxy.onCut = () => {
      if (proxy.cuts !== 2) return;
      killed.push(platform.pidOf("control"));
      signal(killed[0]!, "SIGKILL");
    };
    const environment = {
      COLIBRI_URL: url,
      COLIBRI_TOKEN: platform.token,
      COLIBRI_FUNCTIONS_URL: platform.functionsUrl,
    };
    const { code, out, err } = await platform.place.colibriWith(environment, "deploy", folder);
    assert.equal(code, 0, `${out}${err}`);
    assert.equal(killed.length, 1, "control was not killed");
    assert.ok(proxy.cuts >= 2, `${proxy.cuts} cuts`);
    const offsets = [...err.matchAll(/data: going on at ([\d.]+) MiB of 32\.\d MiB/g)].map((match) => Number(match[1]));
    assert.ok(offsets.length >= 2, err);
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
      "it went back",
    );
    const { text } = await platform.call("big/data");
    assert.equal(text, createHash("sha256").update(DATA).digest("hex"));
    assert.deepEqual(readdirSync(join(platform.home, "uploads", "default")), [], "something is left behind");
  });
});

describe("configuration beside colibri.yaml", () => {
  const SHOW = 'export default () => process.env.REGION + " " + (process.env.KEY ?? "none");';
  const functions = (code = SHOW) => ({ show: node(code, { env: { REGION: "north" } }) });
  const ran = async (...args: string[]) => {
    const { code, out, err } = await platform.colibri(...args);
    assert.equal(code, 0, `${args.join(" ")}: ${out}${err}`);
    return out;
  };
  const answer = async () => (await platform.call("conf/show")).text;

  test("takes effect without a build, stays across deployments, and goes when it is unset", async () => {
    await platform.deploy("conf", functions());
    assert.equal(await answer(), "north none");
    assert.match(await ran("config", "set", "conf", "REGION=south", "KEY=hush"), /show +configured +r2/);
    assert.equal(await answer(), "south hush");
    const deployed = await platform.tryDeploy("conf", functions(`${SHOW}\n// changed`));
    assert.match(deployed.out, /show +updated +r3[^\n]*\n2 settings overridden by config: KEY, REGION\n/);
    assert.equal(await answer(), "south hush");
    assert.equal(await ran("config", "get", "conf/show", "KEY"), "hush\n");
    for (const args of [
      ["config", "list", "conf"],
      ["inspect", "conf/show", "--json"],
    ])
      assert.doesNotMatch(await ran(...args), /hush/);
    await ran("config", "unset", "conf", "REGION", "KEY");
    assert.equal(await answer(), "north none");
  });
});

test("the functions' address in place of control's is recognised", async () => {
  const { code, err } = await platform.place.colibriWith({ COLIBRI_URL: platform.functionsUrl }, "list");
  assert.deepEqual([code, /it is the address of the functions\.\n {2}Control is at http/.test(err)], [1, true], err);
});

describe("apply", () => {
  test("what --dry-run says is what is then done", async () => {
    const code = "export default () => 1;";
    const first = platform.writeApp("one", { a: node(code), b: node(code) });
    const second = platform.writeApp("two", { c: node(code) });
    const changes = async (...args: string[]) => {
      const { code, out, err } = await platform.colibri("apply", "-f", first, second, "--json", ...args);
      assert.equal(code, 0, err);
      const { apps } = JSON.parse(out) as { apps: { functions: { function: string; change: string }[] }[] };
      return apps.flatMap(({ functions }) => functions.map((fn) => `${fn.function} ${fn.change}`));
    };
    assert.deepEqual(await changes("--dry-run"), ["a created", "b created", "c created"]);
    assert.deepEqual(await changes(), ["a created", "b created", "c created"]);
    platform.writeApp("one", { a: node(`${code}//`), b: node(code, { memory: "256MiB" }) });
    const expected = ["a updated", "b configured", "c unchanged"];
    assert.deepEqual(await changes("--dry-run"), expected);
    assert.deepEqual(await changes(), expected);
    assert.equal((await platform.call("two/c")).text, "1");
  });
});
