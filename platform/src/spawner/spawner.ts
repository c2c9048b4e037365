import type { Clock } from "#base/clock.ts";
import type { Link, Listener, Network } from "#base/link/link.ts";
import { MessageLink, type Served } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import { Orphans } from "#base/orphans.ts";
import { Reaper } from "#base/reaper.ts";
import { PlatformError } from "#contract/errors.ts";
import { spawnerEvents, spawnerRequests } from "#contract/spawner/link.ts";
import { adoptChild, type Child, type ChildListener, type Exit, KeptOutput, type Stream, startChild } from "./child.ts";

/**
 * Starts the processes of sandboxes, so that they outlive the agent.
 *
 * Owns: the processes it started or adopted, their output pipes, and what nobody has listened to yet.
 * Does not own: what sandboxes are, their folders, when they end.
 * Invariants: 1. every child is a process group of its own, and its exit is told when nothing of it runs or it can't be killed;
 * 2. an exit is told to one listener, once, and kept until there is one; 3. memory per child is bounded: KEPT_OUTPUT, and what a
 * slow listener has not read is at most MAXIMUM_BUFFERED over all; 4. after `close` no child runs that can be killed.
 */
export interface Spawner {
  open(signal: AbortSignal): Promise<void>;
  /** Kills every child with all it started. */
  close(): Promise<void>;
}

export interface SpawnerDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SpawnerOptions {
  /** Path of the socket it listens on. */
  readonly address: string;
  /** For a child to end after the kill. */
  readonly killMs?: number;
}

type AgentLink = MessageLink<Record<never, never>, Record<never, never>, typeof spawnerRequests, typeof spawnerEvents>;

interface Entry {
  child: Child | undefined;
  readonly kept: KeptOutput;
  exit: Exit | undefined;
}

/** Output beyond this that the agent has not read is kept by its end only. */
const MAXIMUM_BUFFERED = 1 << 20;
const CLOSE_POLL_MS = 5;

export function createSpawner(deps: SpawnerDeps, options: SpawnerOptions): Spawner {
  const entries = new Map<string, Entry>();
  const reaper = new Reaper(deps, options.killMs === undefined ? {} : { patienceMs: options.killMs });
  let orphans: Promise<Orphans> | undefined;
  const childDeps = { clock: deps.clock, reaper, orphans: () => (orphans ??= Orphans.adopt()) };
  let listening: AgentLink | undefined;
  let listener: Listener | undefined;
  let closed = false;

  function listenerOf(id: string, entry: Entry): ChildListener {
    return {
      output: (stream, text) => tellOutput(id, entry, stream, text),
      exited(exit) {
        entry.exit = exit;
        if (listening !== undefined) tellKept(listening, id, entry);
      },
    };
  }

  function tellOutput(id: string, entry: Entry, stream: Stream, text: string): void {
    entry.kept.add(stream, text);
    if (listening !== undefined && listening.buffered < MAXIMUM_BUFFERED) tellOutputKept(listening, id, entry);
  }

  function tellOutputKept(link: AgentLink, id: string, entry: Entry): void {
    for (const piece of entry.kept.take()) link.emit("output", { id, ...piece });
  }

  function tellKept(link: AgentLink, id: string, entry: Entry): void {
    tellOutputKept(link, id, entry);
    if (entry.exit === undefined) return;
    link.emit("exited", { id, ...entry.exit });
    entries.delete(id);
  }

  /** Takes the id at once, so that two requests for it can't both have it. */
  async function enter(id: string, start: (listener: ChildListener) => Promise<Child | undefined> | Child | undefined) {
    if (closed) throw new PlatformError("unavailable", "the spawner is closing");
    if (entries.has(id)) throw new PlatformError("conflict", `there is a child ${id} already`);
    const entry: Entry = { child: undefined, kept: new KeptOutput(), exit: undefined };
    entries.set(id, entry);
    try {
      entry.child = await start(listenerOf(id, entry));
    } finally {
      if (entry.child === undefined) entries.delete(id);
    }
    if (closed) entry.child?.signal("SIGKILL");
    return entry.child;
  }

  function serve(link: () => AgentLink): Served<typeof spawnerRequests> {
    return {
      list() {
        listening = link();
        for (const [id, entry] of entries) tellKept(listening, id, entry);
        const running = [...entries].flatMap(([id, { child }]) => (child === undefined ? [] : [{ id, child }]));
        return { children: running.map(({ id, child: { pid, startTime } }) => ({ id, pid, startTime })) };
      },
      async spawn({ id, ...command }) {
        const child = (await enter(id, (listener) => startChild(childDeps, id, command, listener)))!;
        return { pid: child.pid, startTime: child.startTime };
      },
      async adopt(process) {
        const child = await enter(process.id, (listener) => adoptChild(childDeps, process, listener));
        return { adopted: child !== undefined };
      },
      kill({ id, signal }) {
        entries.get(id)?.child?.signal(signal);
        return {};
      },
    };
  }

  function accept(link: Link) {
    const sides = { asks: {}, hears: {}, serves: spawnerRequests, emits: spawnerEvents };
    const agent: AgentLink = new MessageLink({ clock: deps.clock }, sides, {
      serve: serve(() => agent),
      hear: {},
      closed: () => {
        if (listening === agent) listening = undefined;
      },
    });
    return agent.attach(link).handlers;
  }

  return {
    async open(signal) {
      signal.throwIfAborted();
      listener = await deps.network.listen(options.address, ["spawner"], accept);
    },
    async close() {
      closed = true;
      await listener?.close();
      listening = undefined;
      for (const entry of entries.values()) entry.child?.signal("SIGKILL");
      while ([...entries.values()].some((entry) => entry.child?.running === true)) {
        await new Promise<void>((resolve) => deps.clock.after(CLOSE_POLL_MS, resolve));
      }
    },
  };
}
