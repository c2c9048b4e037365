import { firstPort, tryPort } from "#base/port.ts";
import { CliError, usageError } from "../failure.ts";

const DEFAULT_PORT = 8080;
const TRIED = 20;
const LOOPBACK = "127.0.0.1";

/** A port that somebody asked for is that one or an error; else the first that is free. `note` tells where they differ. */
export async function choosePort(
  option: string | undefined,
  variable: string | undefined,
): Promise<{ readonly port: number; readonly note: string | undefined }> {
  const given = option ?? (variable || undefined);
  const name = option === undefined ? "COLIBRI_PORT" : "--port";
  if (given !== undefined) return { port: await wanted(given, name), note: undefined };
  const port = await firstPort(LOOPBACK, DEFAULT_PORT, TRIED);
  if (port === DEFAULT_PORT) return { port, note: undefined };
  if (port !== undefined) return { port, note: `Port ${DEFAULT_PORT} is taken: ${port} it is.` };
  throw new CliError(`Ports ${DEFAULT_PORT} to ${DEFAULT_PORT + TRIED - 1} are taken.`, {
    hints: ["Choose one with --port."],
  });
}

async function wanted(given: string, name: string): Promise<number> {
  const port = Number(given);
  if (!/^\d+$/.test(given) || port > 65_535)
    throw usageError(`${name} ${given} is no port: write 1 to 65535, or 0 for any.`);
  const found = await tryPort(LOOPBACK, port).catch((error) => {
    throw new CliError(`Port ${port} can't be used (${(error as NodeJS.ErrnoException).code}).`, { cause: error });
  });
  if (found === undefined)
    throw new CliError(`Port ${port} is taken.`, {
      hints: [`Choose another with --port, or leave ${name} out for the next free one.`],
    });
  return port;
}
