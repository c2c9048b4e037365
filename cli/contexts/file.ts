import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CliError } from "../failure.ts";
import { fileReason } from "../input/reason.ts";
import type { Surroundings } from "../surroundings.ts";

/** A platform and who one is there. */
export interface SavedContext {
  readonly name: string;
  readonly controlUrl: string;
  /** Absent: port 8080 of control's host. */
  readonly functionsUrl?: string;
  /** Absent: not logged in. Never printed. */
  readonly token?: string;
}

export interface SavedContexts {
  /** The name of the one in use; absent: the platform of this machine's home. */
  readonly current?: string;
  readonly contexts: readonly SavedContext[];
}

type Env = Pick<Surroundings, "env">;

const NONE: SavedContexts = Object.freeze({ contexts: [] });

/** `XDG_CONFIG_HOME/colibri/contexts.json`, else below `~/.config`; undefined where there is neither. */
function contextsFile({ env }: Env): string | undefined {
  if (env.XDG_CONFIG_HOME) return join(env.XDG_CONFIG_HOME, "colibri", "contexts.json");
  return env.HOME ? join(env.HOME, ".config", "colibri", "contexts.json") : undefined;
}

/** @throws CliError when the file is there and can't be understood: another platform must not take the place of the one in it. */
export function readContexts(surroundings: Env): SavedContexts {
  const path = contextsFile(surroundings);
  if (path === undefined) return NONE;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return NONE;
    throw new CliError(`${path}, which holds the contexts, can't be read: ${fileReason(error)}.`, { cause: error });
  }
  return parse(path, text);
}

function parse(path: string, text: string): SavedContexts {
  try {
    const { current, contexts } = JSON.parse(text) as { current?: unknown; contexts: unknown[] };
    return { ...(typeof current === "string" && { current }), contexts: contexts.map(parseContext) };
  } catch (error) {
    throw new CliError(`${path} is broken: it holds the contexts.`, {
      hints: ["Correct it, or remove it and use `npx colibri login` again."],
      cause: error,
    });
  }
}

function parseContext(value: unknown): SavedContext {
  const { name, controlUrl, functionsUrl, token } = value as Record<string, unknown>;
  if (typeof name !== "string" || typeof controlUrl !== "string")
    throw new Error("a context without name or controlUrl");
  return {
    ...{ name, controlUrl },
    ...(typeof functionsUrl === "string" && { functionsUrl }),
    ...(typeof token === "string" && { token }),
  };
}

/** Replaces the file as a whole, for nobody else to read. */
export function writeContexts(surroundings: Env, contexts: SavedContexts): void {
  const path = contextsFile(surroundings);
  if (path === undefined)
    throw new CliError("There is no place for contexts: HOME and XDG_CONFIG_HOME are not set.", {
      hints: ["Set one of them, or use COLIBRI_URL and COLIBRI_TOKEN."],
    });
  const temporary = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 });
    chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CliError(`${path}, which holds the contexts, can't be written: ${fileReason(error)}.`, { cause: error });
  }
}

/** With this one added, or in the place of the one of that name. */
export function withContext({ current, contexts }: SavedContexts, added: SavedContext): SavedContexts {
  const at = contexts.findIndex(({ name }) => name === added.name);
  const changed = at === -1 ? [...contexts, added] : contexts.with(at, added);
  return { ...(current !== undefined && { current }), contexts: changed };
}
