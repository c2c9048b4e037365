import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { APP_FILE } from "#contract/config/keys.ts";
import { remedyOf } from "#platform/builder/archive/watch.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { renderFailure } from "../output/failure.ts";
import { createStyle } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";
import { type Following, followApp } from "./follow.ts";
import { sleep } from "./sleep.ts";

const SETTLE_MS = 300;

/** Deploys, and again after each change, until Ctrl-C. What fails is told, and may be mended by the next change. */
export async function redeploying(
  surroundings: Surroundings,
  given: string,
  deploy: (signal: AbortSignal) => Promise<ExitCode>,
): Promise<ExitCode> {
  const signal = surroundings.interruption();
  const folder = resolve(surroundings.cwd, given);
  const style = createStyle(surroundings.stderr, surroundings.env);
  /** By earlier rounds. */
  const told = new Set<string>();
  for (;;) {
    const isThere = existsSync(join(folder, APP_FILE));
    // Before the deployment: what changes while it goes on is not in it.
    const following = followApp(folder, (error) => {
      const remedy = remedyOf(error);
      if (told.has(remedy)) return;
      told.add(remedy);
      surroundings.stderr.write(`${style("yellow", `Not all changes are noticed: ${remedy}`)}\n`);
    });
    try {
      await deploy(signal).catch((error) => {
        // Without colibri.yaml there is nothing to wait for.
        if (signal.aborted || !(error instanceof CliError) || !isThere) throw error;
        surroundings.stderr.write(renderFailure(error, surroundings));
      });
      surroundings.stderr.write(`${style("dim", "Waiting for changes; Ctrl-C ends.")}\n`);
      if (!(await changed(folder, following, signal))) return EXIT.ok;
    } finally {
      following.close();
    }
  }
}

/** Resolves when files have changed and no longer do: an editor may write several. False when aborted. */
async function changed(folder: string, following: Following, signal: AbortSignal): Promise<boolean> {
  let last = 0;
  while (await sleep(SETTLE_MS, signal)) {
    const { changes } = following;
    if (changes > 0 && changes === last && existsSync(join(folder, APP_FILE))) return true;
    last = changes;
  }
  return false;
}
