import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { Clock } from "./clock.ts";

/**
 * Programs, run by shells that wait for them: to start a program is to copy the page tables of who starts it, for which this
 * process would stand still for milliseconds each time. A shell's are small.
 *
 * Owns: the shells, which end when this process does and keep it from ending only while they run something.
 * Invariant: a shell runs one program at a time; one that was killed or ended is not used again.
 */
export class Shells {
  readonly #clock: Clock;
  readonly #idle: Shell[] = [];

  constructor(deps: { readonly clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** Its standard output. @throws Error with what the program said, or that it did not end within `timeoutMs`. */
  async run(program: string, args: readonly string[], input: string, timeoutMs: number): Promise<string> {
    const shell = this.#idle.pop() ?? new Shell();
    const timer = this.#clock.after(timeoutMs, () => shell.kill(`no end within ${timeoutMs} ms`));
    try {
      const { code, output, errors } = await shell.run(program, args, input);
      if (code === 0) return output;
      throw new Error(`${[program, ...args].join(" ")}: ${errors.trim() || `exited with code ${code}`}`);
    } finally {
      this.#clock.cancel(timer);
      if (!shell.ended) this.#idle.push(shell);
    }
  }
}

interface Ran {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

type Stream = "stdout" | "stderr";

class Shell {
  readonly #process: ChildProcess;
  /** Of what it runs now. */
  #heard: Record<Stream, string> = { stdout: "", stderr: "" };
  #look: () => void = () => {};
  #end: string | undefined;

  constructor() {
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
    this.#process = spawn("/bin/sh", [], { detached: true, stdio: ["pipe", "pipe", "pipe"], env });
    for (const stream of ["stdout", "stderr"] as const) {
      this.#process[stream]!.setEncoding("utf8").on("data", (text: string) => {
        this.#heard[stream] += text;
        this.#look();
      });
    }
    this.#process.once("error", ({ message }) => this.#ended(`/bin/sh: ${message}`));
    this.#process.once("close", (code, signal) => this.#ended(`the shell ended with ${signal ?? `code ${code}`}`));
    this.#process.stdin!.on("error", () => {});
    this.#hold("unref");
  }

  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** @throws Error when the shell ends before the program does. */
  async run(program: string, args: readonly string[], input: string): Promise<Ran> {
    const { promise, resolve, reject } = Promise.withResolvers<Ran>();
    // Nobody can have written it before.
    const mark = randomBytes(16).toString("hex");
    this.#heard = { stdout: "", stderr: "" };
    this.#look = () => {
      const [stdout, stderr] = [untilMark(this.#heard.stdout, mark), untilMark(this.#heard.stderr, mark)];
      if (stdout !== undefined && stderr !== undefined)
        resolve({ code: Number(stdout.rest), output: stdout.text, errors: stderr.text });
      else if (this.#end !== undefined) reject(new Error(`${program}: ${this.#end}`));
    };
    this.#hold("ref");
    this.#process.stdin!.write(scriptOf([program, ...args], input, mark));
    this.#look();
    try {
      return await promise;
    } finally {
      this.#look = () => {};
      this.#hold("unref");
    }
  }

  /** With what it runs. */
  kill(why: string): void {
    this.#ended(why);
    try {
      process.kill(-this.#process.pid!, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }

  #ended(why: string): void {
    this.#end ??= why;
    this.#look();
  }

  #hold(how: "ref" | "unref"): void {
    const { stdin, stdout, stderr } = this.#process;
    for (const held of [this.#process, stdin as Socket, stdout as Socket, stderr as Socket]) held[how]();
  }
}

/** Both outputs end with a line of their own: the mark, and on standard output the exit code. */
function scriptOf(command: readonly string[], input: string, mark: string): string {
  const words = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const lines = input === "" || input.endsWith("\n") ? input : `${input}\n`;
  return `${words} <<'${mark}'\n${lines}${mark}\ncode=$?; printf '\\n${mark} %d\\n' $code; printf '\\n${mark}\\n' >&2\n`;
}

function untilMark(heard: string, mark: string): { text: string; rest: string } | undefined {
  // What a program writes is longer than the mark by far where it counts.
  const at = heard.lastIndexOf(`\n${mark}`);
  if (at < 0 || !heard.endsWith("\n")) return undefined;
  return { text: heard.slice(0, at), rest: heard.slice(at + mark.length + 1) };
}
