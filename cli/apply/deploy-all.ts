import type { Deployment } from "#sdk/node/client.ts";
import type { Client } from "../client/client.ts";
import { deployApp } from "../deploy/app.ts";
import { BuildOutput } from "../deploy/build-output.ts";
import { type Board, Progress } from "../deploy/progress.ts";
import { deploymentFailure, failedFunctions } from "../deploy/summary.ts";
import { CliError } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import type { NamedApp } from "./apps.ts";

export interface ApplyRun {
  readonly surroundings: Surroundings;
  readonly client: Client;
  readonly board: Board;
  readonly signal: AbortSignal;
  readonly verbose: boolean;
  readonly prune: boolean;
}

/** What happened to a function, or would. */
export type FunctionOutcome = Pick<
  Deployment["functions"][number],
  "function" | "change" | "revision" | "url" | "overridden"
>;

export interface AppOutcome {
  readonly app: string;
  readonly functions: readonly FunctionOutcome[];
  readonly warnings: readonly string[];
  readonly error?: CliError;
}

const AT_ONCE = 4;

/** Rejects at Ctrl-C only; what fails otherwise is told in the app's outcome. */
export function deployAll(run: ApplyRun, apps: readonly NamedApp[]): Promise<AppOutcome[]> {
  return sideBySide(run, apps, (app) => deployOne(run, app));
}

/** `act` on each app, a few at a time, outcomes in the order of the apps. */
export async function sideBySide(
  { signal }: ApplyRun,
  apps: readonly NamedApp[],
  act: (app: NamedApp) => Promise<AppOutcome>,
): Promise<AppOutcome[]> {
  const outcomes: AppOutcome[] = [];
  const waiting = [...apps.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, app] = next;
      outcomes[index] = await act(app).catch((error: unknown) => {
        signal.throwIfAborted();
        return { app: app.file.config.app, functions: [], warnings: [], error: named(app, error) };
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes;
}

async function deployOne(
  { surroundings, client, board, signal, verbose, prune }: ApplyRun,
  app: NamedApp,
): Promise<AppOutcome> {
  const progress = new Progress(surroundings, board, app.file.config.app);
  const output = new BuildOutput(progress, verbose);
  try {
    const ended = await deployApp({ client, progress, output, signal }, app, prune);
    const { functions, warnings } = ended;
    if (ended.state !== "failed") return { app: ended.app, functions, warnings };
    output.showKept(failedFunctions(ended));
    return { app: ended.app, functions, warnings, error: deploymentFailure(ended) };
  } finally {
    progress.clear();
  }
}

function named({ file }: NamedApp, error: unknown): CliError {
  const { message, exit, hints, code, cause } = error as CliError;
  if (!(error instanceof CliError)) throw error;
  return new CliError(`App ${file.config.app}: ${message}`, { exit, hints, code, cause });
}
