import { resolve } from "node:path";
import type { Context } from "../context.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { renderFailure } from "../output/failure.ts";
import { createStyle } from "../output/style.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { sleep } from "./sleep.ts";

const POLL_MS = 300;

/** Deploys, and again after each change, until Ctrl-C. What fails is told, and may be mended by the next change. */
export async function redeploying(
  context: Context,
  given: string,
  deploy: (signal: AbortSignal) => Promise<ExitCode>,
): Promise<ExitCode> {
  const signal = context.interruption();
  const folder = resolve(context.cwd, given);
  const style = createStyle(context.stderr, context.env);
  for (;;) {
    const before = await fingerprintOf(folder);
    try {
      await deploy(signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof CliError)) throw error;
      // Without colibri.yaml there is nothing to wait for.
      if (before === undefined) throw error;
      context.stderr.write(renderFailure(error, context));
    }
    context.stderr.write(`${style("dim", "Waiting for changes; Ctrl-C ends.")}\n`);
    if (!(await changed(folder, before, signal))) return EXIT.ok;
  }
}

/** Resolves when files differ and no longer change: an editor may write several. False when aborted. */
async function changed(folder: string, before: string | undefined, signal: AbortSignal): Promise<boolean> {
  let last = before;
  while (await sleep(POLL_MS, signal)) {
    const now = await fingerprintOf(folder);
    if (now !== undefined && now !== before && now === last) return true;
    last = now;
  }
  return false;
}
