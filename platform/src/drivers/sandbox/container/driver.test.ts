import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundleGuests } from "#guest/bundle.ts";
import { packTar } from "#guest/testing/pack-tar.ts";
import { type SandboxFixture, testSandboxDriver } from "#ports/sandbox/conformance.ts";
import type { SandboxHandle, SandboxSpec } from "#ports/sandbox/index.ts";
import { capabilitiesOf } from "./driver.ts";
import { network, nodeRuntime, openMachine } from "./machine.fixture.ts";
import { OCI_RUNTIMES, type OciRuntime } from "./oci-runtime.ts";
import { enterOwnMounts } from "./own-mounts.ts";
import { probeContainers } from "./probe.ts";

const path = (url: string) => fileURLToPath(new URL(url, import.meta.url));
const functions = path("../../../ports/sandbox/testing/functions");
const archive = packTar(
  Object.fromEntries(readdirSync(functions).map((name) => [name, readFileSync(join(functions, name), "utf8")])),
);
const digestOf = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}` as const;
const searchPath = process.env.PATH ?? "";

async function make(runtime: OciRuntime, guest: string): Promise<SandboxFixture> {
  const machine = await openMachine(runtime);
  const { createDriver, options } = machine;

  async function startAndDie(spec: SandboxSpec): Promise<SandboxHandle> {
    const child = spawn(process.execPath, [path("./holder.fixture.ts"), JSON.stringify({ spec, options })], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
    child.kill("SIGKILL");
    await exited;
    return JSON.parse(line);
  }

  return {
    driver: createDriver(),
    network,
    runtime: nodeRuntime(guest),
    bundle: {
      digest: digestOf(archive),
      bytes: archive.length,
      folder: functions,
      read: () => Readable.from([archive]),
    },
    broken: (spec) => ({
      ...spec,
      runtime: { ...spec.runtime, command: [process.execPath, "-e", "throw Error('no')"] },
    }),
    again: createDriver,
    startAndDie,
    settle: (promise) => promise,
    // Processes on a kernel of gVisor's are not seen on the host.
    ...(runtime.userNamespace && { isRunning: (pid: number) => inNamespaces().some((inside) => inside === pid) }),
    leftovers: async () => machine.leftovers(),
    remove: () => machine.close(),
  };
}

/** The pids that processes of sandboxes have in there. */
function inNamespaces(): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    const status = existsSync(`/proc/${pid}/status`) ? readStatus(pid) : "";
    const [, inside] = /^NSpid:\t\d+\t(\d+)$/m.exec(status) ?? [];
    return inside === undefined || /^State:\tZ/m.test(status) ? [] : [Number(inside)];
  });
}

function readStatus(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}

if (process.getuid?.() === 0) await enterOwnMounts();
const guests = mkdtempSync(join(tmpdir(), "colibri-guests-"));
process.once("exit", () => rmSync(guests, { recursive: true, force: true }));
const guest = (await bundleGuests(guests)).nodejs;
const probes = await Promise.all(OCI_RUNTIMES.map((wanted) => probeContainers({ wanted, searchPath })));
for (const [index, probe] of probes.entries()) {
  const name = `container, ${OCI_RUNTIMES[index]}`;
  if (!probe.works) test(name, { skip: `${probe.reason}. ${probe.remedy}` }, () => {});
  else describe(name, () => testRuntime(name, probe.runtime));
}

function testRuntime(name: string, runtime: OciRuntime): void {
  testSandboxDriver({ name, capabilities: capabilitiesOf(runtime, false), make: () => make(runtime, guest) });

  test(`${name}: of a guest that a signal ends nothing is said but by the guest`, async (t) => {
    const machine = await openMachine(runtime);
    const driver = machine.createDriver();
    t.after(async () => {
      await driver.close();
      await machine.close();
    });
    await driver.open(AbortSignal.timeout(10_000));
    const script = 'console.error("its words"); process.kill(process.pid, "SIGKILL")';
    const launch = { ...nodeRuntime(guest), command: [process.execPath, "-e", script] };
    const start = driver.start({ id: "one", runtime: launch, memoryMiB: 128 });
    await assert.rejects(start, { code: "start-failed", message: /SIGKILL: its words$/ });
  });
}
