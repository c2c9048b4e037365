/**
 * The smallest guest there can be: listens on guest.sock, loads one module, runs one invocation at a time. For tests of what is
 * around a guest, where a real one would only be slower.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Link } from "#base/link/link.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { FLAG_FIN, FLAG_LAST, type Frame } from "#contract/link/frame.ts";

type Handler = (input: string) => unknown;
let state = "pending";
let bound: Record<string, unknown> | undefined;
let handler: Handler | undefined;

function hello(link: Link): void {
  const who = { runtime: "fixture", runtimeVersion: "1", pid: process.pid, delivers: ["mount"] };
  link.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ ...who, state, bound }), null);
}

async function control(link: Link, frame: Frame): Promise<void> {
  const head = JSON.parse(frame.head);
  if (frame.type === GUEST_FRAMES.LOAD) {
    const { tenant, app, function: name, revision, code } = head;
    bound = { tenant, app, function: name, revision };
    handler = (await import(pathToFileURL(join(code.path, head.handler)).href)).default;
    state = "loaded";
    link.send(GUEST_FRAMES.LOADED, 0, 0, JSON.stringify({ durationMs: 1 }), null);
  }
  if (frame.type === GUEST_FRAMES.INIT) {
    state = "ready";
    link.send(GUEST_FRAMES.READY, 0, 0, JSON.stringify({ durationMs: 1 }), null);
  }
  if (frame.type === GUEST_FRAMES.PING)
    link.send(GUEST_FRAMES.PONG, 0, 0, JSON.stringify({ sequence: head.sequence, active: 0 }), null);
  if (frame.type === GUEST_FRAMES.DRAIN) process.exit(0);
}

async function data(link: Link, frame: Frame): Promise<void> {
  if (frame.type === GUEST_FRAMES.HELLO)
    link.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ state, slots: 1, bound }), null);
  if (frame.type !== GUEST_FRAMES.INVOKE) return;
  const answer = Buffer.from(String(await handler?.(frame.body.toString())));
  const head = JSON.stringify({ status: 200, headers: ["content-type", "text/plain"] });
  link.send(GUEST_FRAMES.HEAD, FLAG_FIN | FLAG_LAST, frame.stream, head, answer);
}

await createSocketNetwork().listen(join(process.cwd(), "guest.sock"), ["control", "data"], (link, kind) => {
  if (kind === "control") hello(link);
  return { frame: (frame) => void (kind === "control" ? control : data)(link, frame), close() {} };
});
