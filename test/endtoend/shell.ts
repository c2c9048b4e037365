import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { CHECKOUT, finish, type Platform, type Ran } from "./platform.ts";

/** A block of commands in a document, and the output that follows it there. */
export interface Block {
  readonly script: string;
  /** Undefined where the document shows none, or leaves out parts of it. */
  readonly output: string | undefined;
}

const EXAMPLES = "examples";
const BLOCK = /^```sh\n([\s\S]*?)^```$(?:\n+```\n([\s\S]*?)^```$)?/gm;

export function blocksIn(markdown: string): Block[] {
  return [...markdown.matchAll(BLOCK)].map(([, script = "", output]) => ({
    script: script.trim(),
    output: output?.includes("…") ? undefined : output,
  }));
}

/** Runs documented commands as a reader would, in a folder that looks like the checkout, against this platform instead of the usual ports. */
export class Shell {
  readonly #platform: Platform;
  readonly #folder: string;
  readonly #bin: string;

  get folder(): string {
    return this.#folder;
  }

  constructor(platform: Platform) {
    this.#platform = platform;
    this.#folder = join(platform.place.work, "checkout");
    mkdirSync(this.#folder);
    for (const name of readdirSync(CHECKOUT))
      if (!name.startsWith(".") && name !== EXAMPLES) symlinkSync(join(CHECKOUT, name), join(this.#folder, name));
    // Copied: a document may have its reader change one.
    const filter = (path: string) => basename(path) !== "node_modules";
    cpSync(join(CHECKOUT, EXAMPLES), join(this.#folder, EXAMPLES), { recursive: true, filter });
    this.#bin = join(platform.place.work, "bin");
    mkdirSync(this.#bin);
    // As `npm install --global .` does it.
    symlinkSync(join(CHECKOUT, "bin", "colibri"), join(this.#bin, "colibri"));
    // What a function refuses is a failure of the command.
    writeFileSync(join(platform.place.work, ".curlrc"), "fail-with-body\nsilent\nshow-error\n");
  }

  /** `folder`: where its reader is, below the checkout. */
  run(script: string, folder = "."): Promise<Ran> {
    const { functionsUrl, controlUrl, place } = this.#platform;
    const here = script
      .replaceAll("http://127.0.0.1:8080", functionsUrl)
      .replaceAll("http://127.0.0.1:8081", controlUrl)
      .replaceAll(/\b(?:127\.0\.0\.1|localhost):8080/g, new URL(functionsUrl).host);
    const at = join(this.#folder, folder);
    // Else a `node --test` that a document has its reader run takes itself for a part of this one, and runs nothing.
    const path = `${this.#bin}:${process.env.PATH}`;
    const environment = { CURL_HOME: place.work, NODE_TEST_CONTEXT: undefined, npm_command: undefined, PATH: path };
    return finish(place.spawnProgram("bash", ["-euo", "pipefail", "-c", here], at, environment));
  }
}

/** Commands one after the other print without a line end between them where documents show one. */
export function squeeze(text: string): string {
  return text.replaceAll(/\s+/g, "");
}

/** The lines that `said` has below one that is `heading`, set in by two spaces. */
export function commandsBelow(said: string, heading: string): string[] {
  const [, below = ""] = said.split(`${heading}\n`);
  return [.../^(?: {2}.*\n)*/.exec(below)![0].matchAll(/^ {2}(.+)$/gm)].map(([, line]) => line!);
}
