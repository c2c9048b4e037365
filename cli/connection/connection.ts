import type { Context } from "../context.ts";
import { CliError, EXIT, usageError } from "../failure.ts";
import { findHome, type Home, lockHolder, platformFile, readPlatform, readToken, tokenFile } from "./home.ts";

/** A value and where it came from: what is wrong with it is told together with that. */
export interface Sourced {
  readonly value: string;
  readonly from: string;
}

/** Where the platform is reached and as whom. */
export interface Connection {
  readonly home: Home;
  readonly control: Sourced;
  readonly functions: Sourced;
  readonly token: Sourced | undefined;
  /** Whether control is on this machine. */
  readonly local: boolean;
  /** Why there is no token. */
  readonly tokenMissing: string;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export function findConnection(context: Pick<Context, "env" | "cwd">): Connection {
  const home = findHome(context);
  const control = controlAddress(context.env, home);
  // A platform that listens everywhere says 0.0.0.0: what its home's file names is this machine all the same.
  const local = control.from !== "COLIBRI_URL" || LOOPBACK.test(new URL(control.value).hostname);
  return {
    home,
    control,
    functions: functionsAddress(context.env, home, control, local),
    token: tokenFor(context.env, home, local),
    local,
    tokenMissing: local
      ? `COLIBRI_TOKEN is not set and ${tokenFile(home)} is not there`
      : "COLIBRI_TOKEN is not set, and the token of the platform on this machine is not sent to another",
  };
}

function controlAddress(env: Context["env"], home: Home): Sourced {
  if (env.COLIBRI_URL) return address(env.COLIBRI_URL, "COLIBRI_URL");
  const running = readPlatform(home)?.controlUrl;
  if (running) return address(running, platformFile(home));
  return address(`http://127.0.0.1:${env.COLIBRI_CONTROL_PORT || 8081}`, "the default address");
}

function functionsAddress(env: Context["env"], home: Home, control: Sourced, local: boolean): Sourced {
  if (env.COLIBRI_FUNCTIONS_URL) return address(env.COLIBRI_FUNCTIONS_URL, "COLIBRI_FUNCTIONS_URL");
  const port = env.COLIBRI_PORT || "8080";
  if (!local) {
    const url = new URL(control.value);
    return address(
      `${url.protocol}//${url.hostname}:${port}`,
      "the host of COLIBRI_URL; COLIBRI_FUNCTIONS_URL is not set",
    );
  }
  const running = readPlatform(home)?.functionsUrl;
  if (running) return address(running, platformFile(home));
  return address(`http://127.0.0.1:${port}`, "the default address");
}

function tokenFor(env: Context["env"], home: Home, local: boolean): Sourced | undefined {
  if (env.COLIBRI_TOKEN) return { value: env.COLIBRI_TOKEN, from: "COLIBRI_TOKEN" };
  const value = local ? readToken(home) : undefined;
  return value === undefined ? undefined : { value, from: tokenFile(home) };
}

function address(text: string, from: string): Sourced {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usageError(`${from}: "${text}" is no address; it must look like http://127.0.0.1:8081.`);
  return { value: text.replace(/\/+$/, ""), from };
}

export function unreachable({ control, home }: Connection, cause: unknown): CliError {
  const why = reasonOf(cause);
  if (control.from === "COLIBRI_URL")
    return new CliError(`The platform at ${control.value} can't be reached (${why}).`, {
      exit: EXIT.unreachable,
      hints: ["The address is from COLIBRI_URL: check it, and that the platform runs there."],
      cause,
    });
  const holder = lockHolder(home);
  if (holder !== undefined)
    return new CliError(
      `Colibri runs here, but control does not answer at ${control.value} (${why}): try again in a moment.`,
      {
        exit: EXIT.unreachable,
        hints: [`Process ${holder} runs on ${home.path}; what goes on is in logs/platform.ndjson there.`],
        cause,
      },
    );
  return new CliError("Colibri is not running here: start it with `npm start`.", {
    exit: EXIT.unreachable,
    hints: [
      `Looked for ${control.value} (from ${control.from}): ${why}; home: ${home.path}.`,
      "If it runs elsewhere, set COLIBRI_HOME, or COLIBRI_URL and COLIBRI_TOKEN.",
    ],
    cause,
  });
}

/** The code of a network error, or its message; of the several that a host with several addresses gives, the first. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "unknown host";
  if (code === "ECONNRESET" || code === "EPIPE") return "connection closed";
  return typeof message === "string" && message !== "" ? message : String(code ?? error);
}
