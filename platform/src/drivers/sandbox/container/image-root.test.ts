import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, type TestContext, test } from "node:test";
import { bundleGuests } from "#guest/bundle.ts";
import { packTar } from "#guest/testing/pack-tar.ts";
import type { RuntimeLaunch } from "#ports/sandbox/index.ts";
import { GuestSession } from "#ports/sandbox/testing/guest-session.ts";
import { network, nodeRuntime, openMachine } from "./machine.fixture.ts";
import { OCI_RUNTIMES, type OciRuntime } from "./oci-runtime.ts";
import { enterOwnMounts } from "./own-mounts.ts";
import { probeContainers } from "./probe.ts";

const SOURCE = `
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
const tried = (action) => { try { return action() ?? "done"; } catch (error) { return error.code; } };
export default () => ({
  top: readdirSync("/").sort(),
  programs: readdirSync("/usr/bin").sort(),
  hello: tried(() => readFileSync("/etc/hello", "utf8")),
  passwd: readFileSync("/etc/passwd", "utf8"),
  nameserver: readFileSync("/etc/resolv.conf", "utf8"),
  leak: tried(() => readFileSync("/leak", "utf8")),
  written: ["/etc/hello", "/new", "/usr/bin/sh", "/etc/resolv.conf"].map((path) => tried(() => writeFileSync(path, "x"))),
  temporary: tried(() => writeFileSync("/tmp/x", "x")),
});
`;

/** As little as a Node and a shell need, laid out as images are, with links that would lead astray whoever followed them here. */
function makeImage(folder: string, secret: string): void {
  for (const path of ["usr/bin", "usr/lib", "usr/lib64", "etc"]) mkdirSync(join(folder, path), { recursive: true });
  for (const name of ["bin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(folder, name));
  const needed = ["/bin/sh", process.execPath].flatMap((program) =>
    [...execFileSync("ldd", [program], { encoding: "utf8" }).matchAll(/(\/\S+)/g)].map(([path]) => path),
  );
  for (const path of new Set(["/bin/sh", ...needed])) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    copyFileSync(path, join(folder, path));
  }
  writeFileSync(join(folder, "etc/hello"), "from the image");
  writeFileSync(join(folder, "etc/passwd"), "theirs:x:0:0::/:/bin/sh\n");
  symlinkSync(secret, join(folder, "etc/resolv.conf"));
  symlinkSync(secret, join(folder, "leak"));
  symlinkSync("/etc", join(folder, "run"));
}

const scratch = mkdtempSync(join(tmpdir(), "colibri-image-"));
chmodSync(scratch, 0o755);
const image = join(scratch, "image");
const secret = join(scratch, "secret");
writeFileSync(secret, "of the host", { mode: 0o644 });
process.once("exit", () => rmSync(scratch, { recursive: true, force: true }));
if (process.getuid?.() === 0) await enterOwnMounts();
const guest = (await bundleGuests(join(scratch, "guests"))).nodejs;

for (const wanted of OCI_RUNTIMES) {
  const probe = await probeContainers({ wanted, searchPath: process.env.PATH ?? "" });
  const name = `a root out of an image, ${wanted}`;
  if (!probe.works) test(name, { skip: `${probe.reason}. ${probe.remedy}` }, () => {});
  else describe(name, { timeout: 60_000 }, () => testRuntime(probe.runtime));
}

function testRuntime(oci: OciRuntime): void {
  before(() => makeImage(image, secret));
  after(() => rmSync(image, { recursive: true }));

  async function driverWith(t: TestContext, folder: string, runtimes: readonly RuntimeLaunch[] = []) {
    const machine = await openMachine(oci, { nodejs: folder }, runtimes);
    const driver = machine.createDriver();
    t.after(async () => {
      await driver.close();
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      makeImage(folder, secret);
      await machine.close();
    });
    return driver;
  }

  async function run(t: TestContext, runtime: RuntimeLaunch): Promise<Record<string, unknown>> {
    const driver = await driverWith(t, image);
    await driver.open(AbortSignal.timeout(10_000));
    const sandbox = await driver.start({ id: "one", runtime, memoryMiB: 128 });
    const archive = packTar({ "tell.mjs": SOURCE });
    const folder = join(scratch, "code");
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "tell.mjs"), SOURCE);
    const digest = `sha256:${createHash("sha256").update(archive).digest("hex")}` as const;
    const bundle = { digest, bytes: archive.length, folder, read: () => Readable.from([archive]) };
    const session = new GuestSession(network, sandbox.address);
    await session.greet();
    await session.load(await sandbox.deliver(bundle, { kind: "internet" }), bundle.read, "tell.mjs", 128);
    const answer = await session.invoke("");
    session.close();
    await sandbox.kill("stopped");
    await sandbox.gone;
    assert.ok(answer.kind === "answer");
    return JSON.parse(answer.text);
  }

  test("a function sees the image, with files of ours over its own, and nothing of the host", async (t) => {
    const seen = await run(t, nodeRuntime(guest));
    assert.deepEqual(seen.programs, ["sh"]);
    assert.equal(seen.hello, "from the image");
    assert.match(String(seen.passwd), /^root:.*\nfunction:/);
    assert.match(String(seen.nameserver), /^nameserver 169\.254\./);
    assert.equal(seen.leak, "ENOENT");
    assert.equal(seen.temporary, "done");
    for (const code of seen.written as string[]) assert.match(code, /EROFS|EACCES/);
    const ours = ["code", "dev", "etc", "opt", "proc", "run", "sys", "tmp", "var"];
    assert.deepEqual(seen.top, [...ours, "bin", "leak", "lib", "lib64", "usr"].sort());
  });

  test("what the image has of a runtime is used, else what the host has", async (t) => {
    const [shows, command] = [nodeRuntime(guest).files!.shows, nodeRuntime(guest).command];
    const own = join(image, "opt/lang/node");
    const launch = (program: string) => ({
      ...nodeRuntime(guest),
      command: [program, ...command.slice(1)],
      files: { shows: { [program]: program, [guest]: shows[guest]! }, hides: [] },
    });
    mkdirSync(dirname(own), { recursive: true });
    copyFileSync(process.execPath, own);
    // No such file on the host: it must be the image's.
    assert.ok(!existsSync("/opt/lang/node"));
    assert.equal((await run(t, launch("/opt/lang/node"))).hello, "from the image");
    rmSync(own);
    // Not below /tmp, where sandboxes have a folder of their own.
    const hosts = mkdtempSync("/var/tmp/colibri-node-");
    t.after(() => rmSync(hosts, { recursive: true, force: true }));
    copyFileSync(process.execPath, join(hosts, "node"));
    await t.test("the host's", async (t) => {
      assert.equal((await run(t, launch(join(hosts, "node")))).hello, "from the image");
    });
  });

  test("a folder that is none, or has no shell, is refused before anything starts", async (t) => {
    const missing = await driverWith(t, image);
    rmSync(join(image, "usr/bin/sh"));
    await assert.rejects(missing.open(AbortSignal.timeout(10_000)), { message: /image can't be.* has no \/bin\/sh/ });
    rmSync(image, { recursive: true });
    await assert.rejects(missing.open(AbortSignal.timeout(10_000)), { message: /there is no such folder/ });
  });

  test("an image whose libraries don't run the runtime is refused with what was said", async (t) => {
    const driver = await driverWith(t, image);
    await driver.open(AbortSignal.timeout(10_000));
    rmSync(join(image, "usr/lib/x86_64-linux-gnu/libstdc++.so.6"), { force: true });
    rmSync(join(image, "usr/lib/aarch64-linux-gnu/libstdc++.so.6"), { force: true });
    const start = driver.start({ id: "two", runtime: nodeRuntime(guest), memoryMiB: 128 });
    const expected = { message: /opt\/colibri\/node does not run in it \(".*libstdc\+\+/ };
    await assert.rejects(start, expected);
    const told = await driverWith(t, image, [nodeRuntime(guest)]);
    await assert.rejects(told.open(AbortSignal.timeout(10_000)), expected);
  });
}
