import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Answer, type CallOptions, call } from "./http.ts";
import { Place, until } from "./platform.ts";
import { processesOf } from "./processes.ts";

/** `colibri dev` on a folder of its own, with a folder of its own for what it makes. */
export class DevRun {
  readonly place = new Place();
  /** Where the app lies. */
  readonly app = join(this.place.folder, "app");
  readonly temporary = join(this.place.folder, "tmp");
  readonly #environment: Readonly<Record<string, string>>;
  #child: ChildProcess | undefined;
  #said = "";
  #url = "";

  constructor(files: Readonly<Record<string, string>>, environment: Readonly<Record<string, string>> = {}) {
    this.#environment = environment;
    // Where the tests end before their time, nobody closes it.
    process.once("exit", () => this.#child?.kill("SIGTERM"));
    for (const folder of [this.app, this.temporary]) mkdirSync(folder, { recursive: true });
    for (const [path, text] of Object.entries(files)) this.write(path, text);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.app, path)), { recursive: true });
    writeFileSync(join(this.app, path), text);
  }

  remove(path: string): void {
    rmSync(join(this.app, path), { recursive: true });
  }

  spawn(...args: string[]): ChildProcess {
    return this.place.spawn(args, this.app, { ...this.#environment, TMPDIR: this.temporary });
  }

  /** Until the banner is there. */
  async start(...options: string[]): Promise<void> {
    this.#said = "";
    const child = this.spawn("dev", ...options);
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#said += text;
      });
    await until("the banner", () => {
      assert.equal(child.exitCode, null, this.#said);
      return this.#said.includes("Ctrl-C stops everything");
    });
    this.#url = /^ {2}Colibri dev {2}\S+ {2}(http:\S+)/m.exec(this.#said)![1]!;
  }

  get said(): string {
    return this.#said;
  }
  get url(): string {
    return this.#url;
  }

  /** Waits until it has said so, after what it said before `from`. Returns where that ends. */
  async says(what: string | RegExp, from = 0): Promise<number> {
    const pattern = typeof what === "string" ? new RegExp(RegExp.escape(what)) : what;
    const found = await until("it", () => pattern.exec(this.#said.slice(from))).catch((cause) => {
      throw new Error(`${what} was not said in:\n${this.#said.slice(from)}`, { cause });
    });
    return from + found.index + found[0].length;
  }

  call(path: string, options?: CallOptions): Promise<Answer> {
    return call(this.#url + path, options);
  }

  /** Calls until it answers so: what was saved a moment ago is not there yet. */
  async answers(path: string, text: string): Promise<void> {
    let last = "";
    try {
      await until(`${text} at ${path}`, async () => {
        last = (await this.call(path)).text;
        return last === text;
      });
    } catch (error) {
      throw new Error(`the last answer was ${last}`, { cause: error });
    }
  }

  /** The process itself, not its launcher. */
  get pid(): number {
    const found = this.processes().find(({ title }) => /cli\/main\.ts dev/.test(title));
    assert.ok(found, "it does not run");
    return found.pid;
  }

  processes() {
    return processesOf(this.place.folder);
  }

  /** What is left in the folder for what it makes, by name. */
  left(): string[] {
    return readdirSync(this.temporary).flatMap((name) => readdirSync(join(this.temporary, name)));
  }

  /** Ctrl-C; resolves with the exit code. */
  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined) return null;
    this.#child = undefined;
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    child.kill(signal);
    return ended;
  }

  async close(): Promise<void> {
    await this.stop();
    for (const { pid } of this.processes()) process.kill(pid, "SIGKILL");
    this.place.remove();
  }
}
