import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { fill, mountSmallDisk } from "#base/small-disk.fixture.ts";
import { PlatformLog, type PlatformLogDeps } from "./platform-log.ts";

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "logs", "platform.ndjson");
}

/** Nobody reads from it yet: opening it takes as long as on a dead disk. */
function hangingDisk(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-log-"));
  const path = join(folder, "platform.ndjson");
  execFileSync("mkfifo", [path]);
  t.after(() => {
    // Where the test failed: this process could not end with a thread that hangs.
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    rmSync(folder, { recursive: true });
  });
  return path;
}

const quiet: PlatformLogDeps = { clock: createSystemClock(), onBroken: () => {}, onTriedAgain: () => {} };

test("lines are appended, over restarts too, for the owner alone", async (t) => {
  const path = place(t);
  for (const line of ["one\n", "two\n"]) {
    const log = new PlatformLog(path, quiet, { maximumBytes: 1_000, files: 3 });
    log.write(line);
    await log.close();
  }
  assert.equal(readFileSync(path, "utf8"), "one\ntwo\n");
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("files are put aside by size, the oldest go, and no line is lost or cut on the way", async (t) => {
  const path = place(t);
  const line = (number: number) => `line ${String(number).padStart(4, "0")}\n`;
  let next = 0;
  // Each round is a run of its own, so that what an earlier run left counts.
  for (let round = 0; round < 8; round++) {
    const log = new PlatformLog(path, quiet, { maximumBytes: 95, files: 3 });
    for (let count = 0; count < 10; count++) log.write(line(next++));
    await log.close();
  }
  const names = readdirSync(join(path, ".."));
  assert.deepEqual(names.sort(), ["platform.ndjson", "platform.ndjson.1", "platform.ndjson.2"]);
  const kept = ["platform.ndjson.2", "platform.ndjson.1", "platform.ndjson"].map((name) =>
    readFileSync(join(path, "..", name), "utf8"),
  );
  const lines = kept.join("");
  const first = Number(/^line (\d+)/.exec(lines)?.[1]);
  assert.equal(lines, Array.from({ length: next - first }, (_, index) => line(first + index)).join(""));
  for (const text of kept) assert.ok(text.length <= 110, `${text.length} bytes`);
});

test("a log that can't be written does not stop the platform; later it says how much was lost, and goes on", async (t) => {
  const path = place(t);
  mkdirSync(path, { recursive: true });
  const clock = new SimulatedClock();
  const broken: string[] = [];
  const deps: PlatformLogDeps = {
    clock,
    onBroken: (error) => broken.push((error as NodeJS.ErrnoException).code ?? ""),
    onTriedAgain: (lines) => log.write(`${lines} lost\n`),
  };
  const log: PlatformLog = new PlatformLog(path, deps, { maximumBytes: 1_000_000, files: 3, retryMs: 1_000 });
  log.write("lost\nlost too\n");
  while (broken.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  log.write("lost as well\n");
  await clock.advance(1_000);
  // Tried again, to no avail, and not told again.
  log.write("even this\n");
  await log.close();
  rmSync(path, { recursive: true });
  await clock.advance(999);
  log.write("too early to try\n");
  await clock.advance(1);
  log.write("back\n");
  await log.close();
  assert.equal(readFileSync(path, "utf8"), "5 lost\nback\n");
  assert.deepEqual(broken, ["EISDIR"]);
});

test("a full disk loses lines, not the log", async (t) => {
  const disk = mountSmallDisk(t, 64);
  if (typeof disk === "string") return t.skip(disk);
  const path = join(disk.folder, "platform.ndjson");
  const clock = new SimulatedClock();
  let broken = 0;
  const deps: PlatformLogDeps = {
    clock,
    onBroken: () => broken++,
    onTriedAgain: (lines) => log.write(`${lines} lost\n`),
  };
  const log: PlatformLog = new PlatformLog(path, deps, { maximumBytes: 1_000_000, files: 3, retryMs: 1_000 });
  const filler = join(disk.folder, "filler");
  fill(filler);
  log.write("lost\n");
  while (broken === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  rmSync(filler);
  await clock.advance(1_000);
  log.write("back\n");
  await log.close();
  assert.equal(readFileSync(path, "utf8"), "1 lost\nback\n");
});

test("a disk that hangs fills no memory: lines are lost, and each is written or told as lost", {
  timeout: 20_000,
}, async (t) => {
  const path = hangingDisk(t);
  const broken: string[] = [];
  const deps: PlatformLogDeps = {
    clock: new SimulatedClock(),
    onBroken: ({ message }) => broken.push(message),
    onTriedAgain: (lines) => log.write(`${lines} lost\n`),
  };
  const log: PlatformLog = new PlatformLog(path, deps, { maximumBytes: 1e9, files: 3, waitingBytes: 10_000 });
  let written = 0;
  const write = () => log.write(`line ${String(written++).padStart(4, "0")}\n`);
  while (written < 3_000) write();
  assert.deepEqual(broken, ["the disk does not take it: 10000 bytes wait"]);
  let text = "";
  const disk = createReadStream(path, "utf8").on("data", (piece) => (text += piece));
  const ended = once(disk, "end");
  while (!text.includes("lost")) {
    write();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  write();
  assert.equal(await log.close(), "closed");
  await ended;
  const lines = text.trimEnd().split("\n");
  const lost = lines.filter((line) => line.endsWith(" lost")).map((line) => Number.parseInt(line, 10));
  assert.equal(lost.length, 1);
  assert.ok(lost[0]! >= 2_000);
  assert.equal(lines.length - 1 + lost[0]!, written);
});

test("a disk that hangs does not hold up the end", { timeout: 20_000 }, async (t) => {
  const path = hangingDisk(t);
  const clock = new SimulatedClock();
  const log = new PlatformLog(path, { ...quiet, clock }, { maximumBytes: 1_000, files: 3 });
  log.write("never written\n");
  const closing = log.close();
  await clock.advance(2_000);
  assert.equal(await closing, "hangs");
  // Whoever reads lets go of the thread that this process could not end with.
  const disk = createReadStream(path, "utf8");
  assert.deepEqual(await disk.toArray(), ["never written\n"]);
});
