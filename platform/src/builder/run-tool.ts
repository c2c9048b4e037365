/**
 * Owns: the processes that builds start, with all that they start, until they are gone. Does not own: what they do to the disk.
 *
 * 1. No process outlives the tool that started it, as far as the reaper can tell: its group and whoever has HOME or TMPDIR in
 *    the build's folder end with it, and at abort. So one tool of a build runs at a time.
 * 2. What a tool prints is bounded, line by line and in all, and secrets are blanked before anyone sees it.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import type { Clock } from "#base/clock.ts";
import { signalGroup } from "#base/process-group.ts";
import type { Reaper } from "#base/reaper.ts";
import type { Tool, ToolOutcome } from "./job.ts";
import { createRedactor } from "./redact.ts";

export interface RunDeps {
  readonly clock: Clock;
  readonly reaper: Reaper;
  /** The build's, absolute: tools have their HOME and TMPDIR in it. */
  readonly folder: string;
  /** Takes one line that the tool printed. */
  readonly output: (line: string) => void;
  readonly signal: AbortSignal;
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

const MAXIMUM_LINE = 4_096;
/** Lines that are kept for whoever must explain a failure. */
const KEPT_LINES = 400;
/** How long the pipes are read on when the tool is gone and somebody whom the reaper does not know holds them open. */
const LINGER_MS = 1_000;

export async function runTool(tool: Tool, deps: RunDeps): Promise<ToolOutcome> {
  const { signal } = deps;
  signal.throwIfAborted();
  const [program = "", ...first] = tool.command;
  const child = spawn(program, [...first, ...tool.args], {
    cwd: tool.folder,
    env: tool.environment,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const kill = () => {
    if (child.pid !== undefined) signalGroup(child.pid, "SIGKILL");
  };
  signal.addEventListener("abort", kill);
  try {
    return await follow(child, tool, deps);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "missing" };
    throw error;
  } finally {
    signal.removeEventListener("abort", kill);
  }
}

async function follow(child: Child, tool: Tool, deps: RunDeps): Promise<ToolOutcome> {
  const { clock, output, signal, reaper, folder } = deps;
  const redact = createRedactor(tool.secrets ?? []);
  const lines: string[] = [];
  const take = (text: string) => {
    const line = redact(text);
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    if (tool.isQuiet !== true && tool.isNoise?.(line) !== true) output(line);
  };
  const closed = once(child, "close");
  closed.catch(() => {});
  readLines(child.stdout, take);
  readLines(child.stderr, take);
  const [code, killedBy] = (await once(child, "exit")) as [number | null, string | null];
  await reaper.end({ id: folder, groups: [child.pid!], folder, kin: [] });
  const timer = clock.after(LINGER_MS, () => {
    child.stdout.destroy();
    child.stderr.destroy();
  });
  await closed;
  clock.cancel(timer);
  signal.throwIfAborted();
  if (killedBy !== null) take(`${tool.name} was killed by ${killedBy}`);
  return { kind: "exited", code: code ?? 1, lines };
}

/** Calls `take` for each line, long ones cut. */
function readLines(stream: Readable, take: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split(/\r\n|\n|\r/);
    // Of a line without end the beginning is kept, and what follows only until the next piece comes.
    rest = lines.pop()!.slice(0, MAXIMUM_LINE);
    for (const line of lines) take(line.slice(0, MAXIMUM_LINE));
  });
  stream.on("error", () => {});
  stream.on("close", () => {
    if (rest !== "") take(rest);
  });
}
