import type { Deployment, DeploymentEvent } from "#sdk/node/client.ts";
import type { Client } from "../client/client.ts";
import { CliError, EXIT } from "../failure.ts";
import { printable } from "../output/printable.ts";
import { mayComeBack, retrying, Waits } from "../reconnect.ts";
import type { BuildOutput } from "./build-output.ts";
import type { Progress } from "./progress.ts";

const AWAY_MS = 60_000;

/**
 * Shows a deployment's progress to its end, through restarts of control: a stream that is cut is taken up after the last event.
 * Throws when that can't be had for a minute, and at Ctrl-C; the deployment goes on either way.
 */
export async function followDeployment(
  client: Client,
  started: Deployment,
  show: { readonly progress: Progress; readonly output: BuildOutput },
  signal: AbortSignal,
): Promise<Deployment> {
  try {
    await untilEnd(client, started.id, (event) => showEvent(event, show), signal);
    return await retrying(() => client.deployment(started.id), AWAY_MS, signal);
  } catch (error) {
    show.progress.clear();
    if (signal.aborted) throw goesOn("Interrupted", started, EXIT.interrupted);
    if (mayComeBack(error)) throw goesOn("Lost sight of control", started, EXIT.unreachable);
    throw error;
  }
}

async function untilEnd(
  client: Client,
  id: string,
  show: (event: DeploymentEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const waits = new Waits();
  let last: number | undefined;
  for (;;) {
    try {
      for await (const event of client.deploymentEvents(id, last)) {
        if (last !== undefined && event.number <= last) continue;
        last = event.number;
        waits.reset();
        show(event);
        if (event.kind === "end") return;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!mayComeBack(error) || waits.waitedMs >= AWAY_MS) throw error;
    }
    if (waits.waitedMs >= AWAY_MS) throw new Error("no more events");
    await waits.wait(signal);
  }
}

function showEvent(event: DeploymentEvent, { progress, output }: { progress: Progress; output: BuildOutput }): void {
  const text = printable(event.function === undefined ? event.text : `${event.function}: ${event.text}`);
  if (event.kind === "step") progress.line(text);
  else if (event.kind === "output") output.add(event.function, event.text);
  else if (event.kind === "state") progress.change(`${printable(event.text)}…`);
  else progress.clear();
}

function goesOn(why: string, { id, app }: Deployment, exit: number): CliError {
  return new CliError(`${why}: deployment ${id} goes on without being watched.`, {
    exit,
    hints: [
      `\`npx colibri inspect ${app}\` shows what is live.`,
      "`npx colibri deploy` again says whether anything is left to do.",
    ],
  });
}
