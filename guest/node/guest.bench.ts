/**
 * What a Node guest costs: `node bin/colibri node guest/node/guest.bench.ts`. Start to listening, memory when idle, and processor
 * time of the guest for each warm invocation with so many under way.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { encodeFrame, encodePreamble, FLAG_FIN, FrameReader } from "#contract/link/frame.ts";
import { FrameWriter } from "#contract/link/frame-writer.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { REVISION } from "#guest/testing/driven-control.ts";
import { GuestDriver } from "#guest/testing/guest-driver.ts";

const STARTS = 20;
const INVOCATIONS = 60_000;
const UNDER_WAY = [1, 20, 64];
/** Of the kernel's clock, in milliseconds. */
const TICK_MS = 10;

const folder = mkdtempSync(join(tmpdir(), "colibri-bench-"));
const { nodejs } = await bundleGuests(folder);
const command = { file: process.execPath, args: [nodejs] };
const bodies = {
  sync: "export default () => ({ hello: 'world' });",
  async: "export default async () => ({ hello: 'world' });",
  fetch: "export default { fetch: () => new Response('{}') };",
};

await measureStart();
for (const [style, source] of Object.entries(bodies))
  for (const underWay of UNDER_WAY) await measureWarm(style, source, underWay);
rmSync(folder, { recursive: true });

async function measureStart(): Promise<void> {
  const times: number[] = [];
  let pssKiB = 0;
  let privateKiB = 0;
  for (let count = 0; count < STARTS; count++) {
    const started = performance.now();
    const guest = await GuestDriver.start(command);
    times.push(performance.now() - started);
    const rollup = readFileSync(`/proc/${guest.pid}/smaps_rollup`, "utf8");
    pssKiB = Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]);
    privateKiB = sumPrivate(rollup);
    await guest.stop();
  }
  times.sort((a, b) => a - b);
  console.log(`start to listening: p50 ${times[STARTS >> 1]!.toFixed(1)} ms, best ${times[0]!.toFixed(1)} ms`);
  console.log(`idle: PSS ${(pssKiB / 1_024).toFixed(1)} MiB, private ${(privateKiB / 1_024).toFixed(1)} MiB`);
}

function sumPrivate(rollup: string): number {
  return [...rollup.matchAll(/^Private_\w+:\s+(\d+)/gm)].reduce((sum, match) => sum + Number(match[1]), 0);
}

async function measureWarm(style: string, source: string, underWay: number): Promise<void> {
  const guest = await GuestDriver.start(command);
  await guest.ready({ handler: "index.mjs", files: { "index.mjs": source } }, { concurrency: 1_000 });
  const invocations = style === "fetch" ? INVOCATIONS / 6 : INVOCATIONS;
  await drive(guest, invocations / 4, underWay);
  const before = cpuMs(guest.pid);
  const started = performance.now();
  await drive(guest, invocations, underWay);
  const seconds = (performance.now() - started) / 1_000;
  const each = ((cpuMs(guest.pid) - before) * 1_000) / invocations;
  console.log(
    `${style}, ${underWay} under way: ${Math.round(invocations / seconds)}/s, ${each.toFixed(1)} µs of the guest each`,
  );
  await guest.stop();
}

/** A gateway with nothing but frames: as little beside the guest as may be. */
function drive(guest: GuestDriver, invocations: number, underWay: number): Promise<void> {
  const socket = connect({ path: guest.socketPath });
  const writer = new FrameWriter();
  const request = { method: "POST", path: "/", query: "", headers: ["content-type", "application/json", "host", "x"] };
  const head = JSON.stringify({ id: "01J0000000000000000000000A", ...REVISION, budgetMs: 30_000, request });
  const body = Buffer.from('{"name":"colibri"}');
  let sent = 0;
  let done = 0;
  const send = () => writer.append(GUEST_FRAMES.INVOKE, FLAG_FIN, ++sent, head, body);
  return new Promise((resolve) => {
    let greeted = false;
    const reader = new FrameReader((frame) => {
      if (!frame.last && frame.type !== GUEST_FRAMES.END) return;
      done++;
      if (sent < invocations) send();
    });
    socket.on("data", (chunk) => {
      reader.push(greeted ? chunk : chunk.subarray(8));
      greeted = true;
      for (const piece of writer.take()) socket.write(piece);
      if (done === invocations) socket.destroy();
    });
    socket.once("close", () => resolve());
    socket.write(encodePreamble("data"));
    socket.write(encodeFrame(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ owner: "bench", epoch: 1 }), null));
    for (let count = 0; count < underWay; count++) send();
    for (const piece of writer.take()) socket.write(piece);
  });
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
