/**
 * The spawner link: agent → spawner, on one machine. JSON messages (contract/link/message.ts). The spawner starts the
 * processes of sandboxes, each in a process group of its own, so that they outlive the agent; it holds their output and
 * reaps them. One agent at a time listens: the one that asked `list` last.
 */
import { boolean, integer, list, map, matching, nullable, object, oneOf, optional, text } from "../shape.ts";

/** Becomes the name of a folder elsewhere, so nothing that means something in a path is admitted. */
const child = matching(
  "1 to 64 letters, digits and hyphens",
  (value): value is string => typeof value === "string" && /^[A-Za-z0-9-]{1,64}$/.test(value),
);
/** In clock ticks since the machine started, from /proc/<pid>/stat: with the pid it names one process for ever. */
const startTime = text(32);

const SPAWNER_SIGNALS = ["SIGTERM", "SIGKILL", "SIGSTOP", "SIGCONT"] as const;
export type SpawnerSignal = (typeof SPAWNER_SIGNALS)[number];

/** Of one child's output, kept while nobody listens: the end of it, at most this many characters. */
export const KEPT_OUTPUT = 16 * 1024;

export const spawnerRequests = Object.freeze({
  /**
   * First on every link: events go there from now on. What was kept (output, then exits) is told by events that come *before*
   * the answer; the answer names the children that run. A child told as exited is forgotten.
   */
  list: {
    request: object({}),
    answer: object({ children: list(object({ id: child, pid: integer(1), startTime })) }),
  },
  /**
   * Standard input is /dev/null; the environment is exactly the one given. Answered when the process runs. `cwd` is the child's
   * own folder, absolute: whoever is started with HOME or TMPDIR in it belongs to the child, and ends with it.
   * With a `pidFile` the command starts somebody else, writes his pid there and ends: he is the child, and has its output.
   */
  spawn: {
    request: object({
      id: child,
      command: list(text(4_096), 64),
      cwd: text(4_096),
      environment: map(text(131_072), 100),
      pidFile: optional(text(4_096)),
    }),
    answer: object({ pid: integer(1), startTime }),
  },
  /** A process that another spawner started and that still runs: false when it is gone. Its output and exit code are lost. */
  adopt: {
    request: object({ id: child, pid: integer(1), startTime, cwd: text(4_096) }),
    answer: object({ adopted: boolean }),
  },
  /** Signals the child's whole process group. Nothing happens when the child is gone. */
  kill: { request: object({ id: child, signal: oneOf(...SPAWNER_SIGNALS) }), answer: object({}) },
});

/** spawner → agent. */
export const spawnerEvents = Object.freeze({
  output: object({ id: child, stream: oneOf("stdout", "stderr"), text: text(1 << 20) }),
  /**
   * Nothing of its process group runs any more, nor anybody else who belongs to it; or a process that can't be killed was let go
   * after a time. Both are null for an adopted child, whose end was seen but not how.
   */
  exited: object({ id: child, code: nullable(integer(0, 255)), signal: nullable(text(16)) }),
});
