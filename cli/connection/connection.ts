import { type Choosing, type ChosenContext, chosenContext } from "../contexts/choice.ts";
import { CliError, EXIT, usageError } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import { findHome, type Home, lockHolder, platformFile, readPlatform, readToken, tokenFile } from "./home.ts";

/** A value and where it came from: what is wrong with it is told together with that. */
export interface Sourced {
  readonly value: string;
  readonly from: string;
}

/** Where the platform is reached and as whom. */
export interface Connection {
  readonly home: Home;
  /** What named the platform. */
  readonly origin: "context" | "COLIBRI_URL" | "home";
  /** Of the context. */
  readonly context: string | undefined;
  readonly control: Sourced;
  readonly functions: Sourced;
  readonly token: Sourced | undefined;
  /** Whether control is on this machine. */
  readonly local: boolean;
  /** Why there is no token. */
  readonly tokenMissing: string;
}

type Env = Surroundings["env"];

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** `--context`, else COLIBRI_URL, else COLIBRI_CONTEXT, else the context in use, else the platform of the home. */
export function findConnection(surroundings: Choosing & Pick<Surroundings, "cwd">): Connection {
  const home = findHome(surroundings);
  const chosen = chosenContext(surroundings);
  // What was asked for on the command line is not mixed with what the environment says.
  const env = surroundings.chosen === undefined ? surroundings.env : withoutConnection(surroundings.env);
  if (chosen !== undefined) return fromContext(home, chosen, env);
  return env.COLIBRI_URL ? fromUrl(home, env, env.COLIBRI_URL) : fromHome(home, env);
}

function withoutConnection({ COLIBRI_URL: _url, COLIBRI_TOKEN: _token, COLIBRI_FUNCTIONS_URL: _fn, ...env }: Env): Env {
  return env;
}

function fromContext(home: Home, { saved, by }: ChosenContext, env: Env): Connection {
  const from = `context ${saved.name}`;
  const control = address(saved.controlUrl, from);
  const given = saved.functionsUrl;
  // The platform of this machine's home under another name: its file tells the port.
  const isHome = readPlatform(home)?.controlUrl === control.value;
  const usual = isHome ? homesFunctions(home, env) : besideControl(control, `the host of ${from}`, env);
  return {
    ...{ home, origin: "context", context: saved.name, control },
    functions: fromVariable(env) ?? (given === undefined ? usual : address(given, from)),
    token: tokenVariable(env) ?? (saved.token === undefined ? undefined : { value: saved.token, from }),
    local: false,
    tokenMissing: `${from} (by ${by}) has none`,
  };
}

function fromUrl(home: Home, env: Env, url: string): Connection {
  const control = address(url, "COLIBRI_URL");
  const local = isLoopback(control.value);
  const elsewhere = "the host of COLIBRI_URL; COLIBRI_FUNCTIONS_URL is not set";
  return {
    ...{ home, origin: "COLIBRI_URL", context: undefined, control, local },
    functions: fromVariable(env) ?? (local ? homesFunctions(home, env) : besideControl(control, elsewhere, env)),
    token: tokenVariable(env) ?? (local ? homesToken(home) : undefined),
    tokenMissing: local
      ? missingHere(home)
      : "COLIBRI_TOKEN is not set, and the token of the platform on this machine is not sent to another",
  };
}

// A platform that listens everywhere says 0.0.0.0: what its home's file names is this machine all the same.
function fromHome(home: Home, env: Env): Connection {
  const running = readPlatform(home)?.controlUrl;
  const usual = `http://127.0.0.1:${env.COLIBRI_CONTROL_PORT || 8081}`;
  return {
    ...{ home, origin: "home", context: undefined, local: true },
    control: running ? address(running, platformFile(home)) : address(usual, "the default address"),
    functions: fromVariable(env) ?? homesFunctions(home, env),
    token: tokenVariable(env) ?? homesToken(home),
    tokenMissing: missingHere(home),
  };
}

function missingHere(home: Home): string {
  return `COLIBRI_TOKEN is not set and ${tokenFile(home)} is not there`;
}

function fromVariable({ COLIBRI_FUNCTIONS_URL: url }: Env): Sourced | undefined {
  return url ? address(url, "COLIBRI_FUNCTIONS_URL") : undefined;
}

function homesFunctions(home: Home, env: Env): Sourced {
  const running = readPlatform(home)?.functionsUrl;
  if (running) return address(running, platformFile(home));
  return address(`http://127.0.0.1:${env.COLIBRI_PORT || 8080}`, "the default address");
}

function besideControl(control: Sourced, from: string, env: Env): Sourced {
  const url = new URL(control.value);
  return address(`${url.protocol}//${url.hostname}:${env.COLIBRI_PORT || 8080}`, from);
}

function tokenVariable({ COLIBRI_TOKEN: value }: Env): Sourced | undefined {
  return value ? { value, from: "COLIBRI_TOKEN" } : undefined;
}

function homesToken(home: Home): Sourced | undefined {
  const value = readToken(home);
  return value === undefined ? undefined : { value, from: tokenFile(home) };
}

export function isLoopback(url: string): boolean {
  return LOOPBACK.test(new URL(url).hostname);
}

/** @throws CliError of exit code 2. */
export function address(text: string, from: string): Sourced {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usageError(`${from}: "${text}" is no address; it must look like http://127.0.0.1:8081.`, ...withScheme(text));
  if (url.username !== "" || url.password !== "")
    throw usageError(`${from}: the address has a user or a password in it: leave them out; control takes a token.`);
  return { value: text.replace(/\/+$/, ""), from };
}

/** Of a host with a port, or of this machine, what was meant. */
function withScheme(text: string): string[] {
  const url = /^(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?$/i.test(text) ? URL.parse(`http://${text}`) : null;
  if (url === null) return [];
  if (isLoopback(url.href)) return [`Did you mean http://${text}${url.port === "" ? ":8081" : ""}?`];
  return url.port === "" ? [] : [`Did you mean https://${text}?`];
}

export function unreachable(connection: Connection, cause: unknown): CliError {
  const { control, origin, home } = connection;
  const why = reasonOf(cause);
  const exit = EXIT.unreachable;
  if (origin !== "home") {
    const hints = [`The address is from ${control.from}: check it, and that the platform runs there.`];
    return new CliError(`The platform at ${control.value} can't be reached (${why}).`, { exit, hints, cause });
  }
  const holder = lockHolder(home);
  if (holder !== undefined)
    return new CliError(
      `Colibri runs here, but control does not answer at ${control.value} (${why}): try again in a moment.`,
      {
        exit,
        hints: [`Process ${holder} runs on ${home.path}; what goes on is in logs/platform.ndjson there.`],
        cause,
      },
    );
  return new CliError("Colibri is not running here: start it with `npx colibri serve`.", {
    exit,
    hints: [
      `Looked for ${control.value} (from ${control.from}): ${why}; home: ${home.path}.`,
      "If it runs elsewhere, set COLIBRI_HOME, or COLIBRI_URL and COLIBRI_TOKEN, or use `npx colibri login <url>`.",
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
