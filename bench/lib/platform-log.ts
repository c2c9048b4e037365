import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RunningPlatform } from "./platform.ts";
import { median } from "./tools.ts";

/** What the agent tells of sandboxes that became ready for somebody: medians, in milliseconds. */
export interface AgentSteps {
  /** From the start to a guest that greets. */
  readonly startMs: number;
  /** In the guest: the code is imported. */
  readonly loadMs: number;
  readonly initMs: number;
}

interface Line extends AgentSteps {
  readonly at: string;
  readonly role: string;
  readonly message: string;
}

export function agentSteps({ home }: RunningPlatform, since: Date): AgentSteps {
  const lines = readFileSync(join(home, "logs", "platform.ndjson"), "utf8")
    .trimEnd()
    .split("\n");
  const ready = lines
    .map((line) => JSON.parse(line) as Line)
    .filter(({ role, message, at }) => role === "agent" && message === "sandbox is ready" && new Date(at) >= since);
  const middle = (of: (line: Line) => number) => median(ready.map(of));
  return {
    startMs: middle(({ startMs }) => startMs),
    loadMs: middle(({ loadMs }) => loadMs),
    initMs: middle(({ initMs }) => initMs),
  };
}
