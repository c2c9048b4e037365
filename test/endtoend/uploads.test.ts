// Uploads go on where they were: through connections that are cut again and again, and a control that is killed.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { node, type Platform, signal, startPlatform } from "./platform.ts";

const MIB = 1024 * 1024;
const DATA = randomBytes(32 * MIB);
/** What a connection carries before it is cut: three or more are needed. */
const CARRIED = 12 * MIB;

const CODE = `import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
export default () => createHash("sha256").update(readFileSync(new URL("data.bin", import.meta.url))).digest("hex");
`;

/** Stands between the command line and control, and cuts every connection that has carried so much to control. */
class CuttingProxy {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  cuts = 0;
  /** Called at each cut, before it is noticed. */
  onCut: () => void = () => {};

  constructor(controlUrl: string) {
    const { hostname, port } = new URL(controlUrl);
    this.#target = { host: hostname, port: Number(port) };
    this.#server = createServer((caller) => this.#join(caller));
  }

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }

  #join(caller: Socket): void {
    const control = connect(this.#target);
    let carried = 0;
    const end = (): void => {
      caller.destroy();
      control.destroySoon();
    };
    caller.on("data", (chunk) => {
      if (!control.write(chunk)) caller.pause();
      carried += chunk.length;
      if (carried < CARRIED) return;
      this.cuts++;
      this.onCut();
      carried = Number.NEGATIVE_INFINITY;
      end();
    });
    control.on("drain", () => caller.resume()).on("data", (chunk) => caller.write(chunk));
    for (const side of [caller, control]) side.on("error", end).on("close", end);
  }
}

describe("an upload over connections that are cut", () => {
  let platform: Platform;
  let proxy: CuttingProxy;
  let url: string;
  before(async () => {
    platform = await startPlatform();
    proxy = new CuttingProxy(platform.controlUrl);
    url = await proxy.open();
  });
  after(async () => {
    proxy?.close();
    await platform?.close();
  });

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
