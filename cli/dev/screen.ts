import { functionPath } from "#contract/names.ts";
import type { DevEvent, DevRequest } from "#platform/dev/index.ts";
import type { Dev } from "#platform/main/dev.ts";
import { printable } from "../output/printable.ts";
import { type Colour, createStyle, type Style } from "../output/style.ts";
import { showSpan } from "../output/units.ts";
import type { Output, Surroundings } from "../surroundings.ts";

/** In the order in which functions are met. */
const FUNCTION_COLOURS: readonly Colour[] = ["cyan", "magenta", "green", "blue", "yellow"];
const LEVEL_COLOURS: Readonly<Record<string, Colour | undefined>> = { debug: "dim", warn: "yellow", error: "red" };
const CLEAR = "\u001b[2J\u001b[3J\u001b[H";

export interface BannerOptions {
  /** Undefined where none are listened for. */
  readonly keys: string | undefined;
  /** Whether code waits for a debugger. */
  readonly waits: boolean;
}

/** What happens, in lines. Owns: the colours of functions, and how wide their names are. */
export class Screen {
  readonly style: Style;
  readonly #output: Output;
  readonly #now: () => Date;
  readonly #colours = new Map<string, Colour>();
  /** By function, what keeps it from starting. */
  readonly #broken = new Map<string, string>();
  #width = 0;

  constructor(
    { stdout, env }: Pick<Surroundings, "stdout" | "env">,
    functions: readonly string[],
    now: () => Date = () => new Date(),
  ) {
    this.#output = stdout;
    this.style = createStyle(stdout, env);
    this.#now = now;
    for (const name of functions) this.#named(name);
  }

  /** Where everything is, and which keys there are. */
  banner(dev: Pick<Dev, "config" | "inspectPorts">, url: string, more: BannerOptions): void {
    const { app, functions } = dev.config;
    this.line(`\n  ${this.style("bold", "Colibri dev")}  ${app}  ${this.style("cyan", url)}\n`);
    const width = Math.max(0, ...Object.keys(functions).map((name) => name.length));
    for (const [name, fn] of Object.entries(functions)) {
      const rows = [url + functionPath({ tenant: "default", app, function: name })];
      for (const trigger of fn.config.policy.triggers)
        rows.push(
          "timer" in trigger ? `timer ${trigger.timer}` : `${trigger.http}${trigger.host ? ` (${trigger.host})` : ""}`,
        );
      const port = dev.inspectPorts.get(name);
      if (port !== undefined) rows.push(`${more.waits ? "waits for a debugger" : "debugger"} on port ${port}`);
      const named = this.#named(name, width);
      for (const [index, row] of rows.entries())
        this.line(`  ${index === 0 ? named : " ".repeat(width)}  ${index === 0 ? row : this.style("dim", row)}`);
    }
    this.line(`\n  ${this.style("dim", more.keys ?? "Ctrl-C stops everything.")}\n`);
  }

  show(event: DevEvent): void {
    switch (event.kind) {
      case "request":
        return this.#request(event);
      case "log":
        return this.#log(event.function, event.entry.text, event.from === "platform" ? "error" : event.entry.level);
      case "logs-dropped":
        return this.#log(event.function, `… ${event.count} more were too many to show`, "warn");
      case "note":
        return this.#told(event.function, event.text, "dim");
      case "warning":
        return this.#told(event.function, event.text, "yellow");
      case "ready":
        this.#broken.delete(event.function);
        return this.#told(event.function, `${event.revision} is ready after ${showSpan(event.tookMs)}`, "green");
      case "removed":
        this.#broken.delete(event.function);
        return this.#told(event.function, "is no longer in colibri.yaml", "yellow");
      case "broken":
        this.#broken.set(event.function, oneLine(`${event.code}: ${event.message}`));
        this.#told(event.function, `${event.code}: ${event.message}`, "red");
        return event.stack === "" ? undefined : this.#told(event.function, event.stack, "dim");
      case "config-broken":
        return this.#told(undefined, `colibri.yaml, what was last right stays:\n${event.text}`, "red");
      case "config-mended":
        return this.#told(undefined, "colibri.yaml is right again", "green");
    }
  }

  line(text: string): void {
    this.#output.write(`${text}\n`);
  }

  clear(): void {
    if (this.#output.isTTY) this.#output.write(CLEAR);
  }

  #request({ method, target, status, tookMs, coldMs, error }: DevRequest): void {
    const colour: Colour = status === undefined || status >= 500 ? "red" : status >= 400 ? "yellow" : "green";
    const time = this.style("dim", this.#now().toTimeString().slice(0, 8));
    const cold = coldMs > 0 ? this.style("blue", `  cold start ${showSpan(coldMs)}`) : "";
    const shown = this.style(colour, String(status ?? (error === undefined ? "left" : "failed")));
    const what = printable(`${method} ${target}`);
    const text = error === undefined ? "" : oneLine(`${error.code}: ${error.message}`);
    // What keeps a function from starting was told, with its place, when it was found.
    const known = text !== "" && [...this.#broken.values()].some((broken) => broken.startsWith(text));
    const short = known ? this.style("red", `  ${error?.code}, as told above`) : "";
    this.line(`${time} ${what} ${shown} ${this.style("dim", showSpan(tookMs))}${cold}${short}`);
    if (text !== "" && !known) this.line(`         ${this.style("red", printable(text))}`);
  }

  #log(fn: string, text: string, level: string): void {
    const colour = LEVEL_COLOURS[level];
    const prefix = `${this.#named(fn)} ${this.style("dim", "│")} `;
    for (const line of printable(text.replace(/\n$/, "")).split("\n"))
      this.line(prefix + (colour === undefined ? line : this.style(colour, line)));
  }

  #told(fn: string | undefined, text: string, colour: Colour): void {
    const prefix = fn === undefined ? "" : `${this.#named(fn)} ${this.style("dim", "·")} `;
    for (const line of printable(text).split("\n")) this.line(prefix + this.style(colour, line));
  }

  #named(fn: string, width = this.#width): string {
    const colour = this.#colours.get(fn) ?? FUNCTION_COLOURS[this.#colours.size % FUNCTION_COLOURS.length]!;
    this.#colours.set(fn, colour);
    this.#width = Math.max(this.#width, fn.length, width);
    return this.style(colour, fn.padEnd(this.#width));
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
