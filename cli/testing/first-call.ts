/** A first call that is known to succeed: what a function's own cases send. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AppConfig } from "#contract/config/app-config.ts";
import { CliError } from "../failure.ts";
import { readTextFile } from "../input/text-file.ts";
import { isTextual, typeOfText } from "../invoke/content-type.ts";
import { quoted } from "../output/quoted.ts";
import { findBeside } from "./beside.ts";
import type { Case, CaseBody, Expectation } from "./case.ts";
import { CASE_FILE, parseCaseFile } from "./case-file.ts";

export interface CallsOptions {
  readonly folder: string;
  /** The folder, as whoever is to type the call writes it. */
  readonly shown: string;
  readonly app: string;
  readonly config: AppConfig;
}

const LONGEST = 320;

/** A command for each function that has a case for it, in the order of the file. */
export function firstCalls({ folder, shown, app, config }: CallsOptions): ReadonlyMap<string, string> {
  const calls = new Map<string, string>();
  for (const one of casesIn(folder, Object.keys(config.functions))) {
    if (calls.has(one.function) || !succeeds(one)) continue;
    const words = wordsOf(one, app, shown);
    const call = `npx colibri invoke ${words.map(quoted).join(" ")}`;
    // What has to be quoted as $'…' is not for every shell.
    if (call.length <= LONGEST && !words.some((word) => /\p{Cc}/u.test(word))) calls.set(one.function, call);
  }
  return calls;
}

/** None where there is no such file, or one with mistakes: those are for the command `test` to tell. */
function casesIn(folder: string, functions: readonly string[]): readonly Case[] {
  const path = join(folder, CASE_FILE);
  if (!existsSync(path)) return [];
  try {
    const parsed = parseCaseFile(readTextFile(path), { functions, find: (file) => findBeside(folder, file) });
    return parsed.kind === "cases" ? parsed.cases : [];
  } catch (error) {
    if (error instanceof CliError) return [];
    throw error;
  }
}

/** `invoke` calls functions by name, not by what their triggers claim, and its path is percent-encoded. */
function succeeds({ skip, request, expect }: Case): boolean {
  const { status = 200, error } = expect;
  return (
    skip === undefined &&
    error === undefined &&
    status < 400 &&
    request.url === undefined &&
    /^[\x21-\x7e]*$/.test(request.path)
  );
}

function wordsOf({ function: fn, request, expect }: Case, app: string, shown: string): string[] {
  const { method, path, headers, body } = request;
  return [
    `${app}/${fn}`,
    ...(method === undefined || method === (body.kind === "none" ? "GET" : "POST") ? [] : ["--method", method]),
    ...(path === "" ? [] : ["--path", path]),
    ...bodyWords(body, "content-type" in headers, shown),
    ...Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]),
    ...outputWords(fn, expect),
  ];
}

function bodyWords(body: CaseBody, hasType: boolean, shown: string): string[] {
  switch (body.kind) {
    case "none":
      return [];
    case "json":
      return ["--data", JSON.stringify(body.value)];
    case "text": {
      const guessed = typeOfText(body.text).startsWith("text/plain");
      return ["--data", body.text, ...(guessed || hasType ? [] : ["--content-type", "text/plain"])];
    }
    case "file":
      return ["--file", join(shown, body.path)];
  }
}

/** A terminal takes no pictures: where the answer is to be one, a file does. */
function outputWords(fn: string, { headers }: Expectation): string[] {
  const type = headers["content-type"];
  if (type === undefined || type instanceof RegExp || isTextual(type)) return [];
  return ["--output", `${fn}.${/^[\w-]+\/(?:[\w.-]+\+)?([\w-]+)/.exec(type)?.[1] ?? "bin"}`];
}
