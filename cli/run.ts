import { CommanderError } from "commander";
import { CliError, EXIT, type ExitCode } from "./failure.ts";
import { renderFailure } from "./output/failure.ts";
import { createProgram } from "./program.ts";
import type { Output, Surroundings } from "./surroundings.ts";

/** 128 + SIGPIPE, as of any program whose reader left. */
const READER_LEFT: ExitCode = 141;

/** Runs one command and ends the process with its exit code. */
export async function run(process: NodeJS.Process, surroundings: Surroundings): Promise<void> {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(READER_LEFT);
      if (stream === process.stdout)
        surroundings.stderr.write(`error: the output can't be written: ${error.message}\n`);
      process.exit(EXIT.failure);
    });
  const code = await execute(process.argv.slice(2), surroundings);
  await flushed(process.stdout);
  await flushed(process.stderr);
  process.exit(code); // standard input may still be open
}

/** The exit code. What went wrong is told on standard error. */
export async function execute(argv: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  try {
    const program = createProgram(surroundings, (ended) => {
      code = ended;
    });
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    return report(error, surroundings);
  }
}

function report(error: unknown, surroundings: Surroundings): ExitCode {
  if (error instanceof CliError) {
    surroundings.stderr.write(renderFailure(error, surroundings));
    return error.exit;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const hint = surroundings.env.COLIBRI_DEBUG ? (stack ?? "") : "Set COLIBRI_DEBUG=1 to see where it happened.";
  surroundings.stderr.write(renderFailure(new CliError(message, { hints: [hint] }), surroundings));
  return EXIT.failure;
}

function flushed(stream: Output): Promise<void> {
  return new Promise((resolve) => stream.write("", () => resolve()));
}
