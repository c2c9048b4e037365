import type { ReadStream } from "node:tty";
import type { DevTimer, Fired } from "#platform/dev/index.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Screen } from "./screen.ts";

export const KEYS_LINE = "r restart · t fire a timer · o open · c clear · h help · q quit";
const HELP = `
  r  a new sandbox for every function, with the code as it is
  t  fire a timer
  o  open the first function in the browser
  c  clear the screen and show where everything is
  q  quit (so does Ctrl-C)
`;
const CTRL_C = "\u0003";
const CTRL_D = "\u0004";

export interface KeyActions {
  restart(): void;
  timers(): readonly DevTimer[];
  fire(timer: DevTimer): Promise<Fired>;
  open(): void;
  banner(): void;
  quit(): void;
}

/** Obeys keys until it is closed, where standard input is a terminal; elsewhere returns undefined. */
export function listenForKeys(
  surroundings: Surroundings,
  screen: Screen,
  actions: KeyActions,
): (() => void) | undefined {
  const input = surroundings.stdin as ReadStream;
  if (input.isTTY !== true || typeof input.setRawMode !== "function") return undefined;
  /** Timers to choose from, while one is asked for. */
  let choices: readonly DevTimer[] | undefined;

  function press(key: string): void {
    if (key === CTRL_C || key === CTRL_D) return actions.quit();
    if (choices !== undefined) return choose(key);
    switch (key) {
      case "r":
        return actions.restart();
      case "t":
        return offer();
      case "o":
        return actions.open();
      case "c":
        screen.clear();
        return actions.banner();
      case "h":
      case "?":
        return screen.line(HELP);
      case "q":
        return actions.quit();
    }
  }

  function offer(): void {
    const timers = actions.timers();
    if (timers.length === 0)
      return screen.line('No function has a timer: add one to its triggers, such as - timer: "*/5 * * * *"');
    if (timers.length === 1) return fire(timers[0]!);
    choices = timers.slice(0, 9);
    const rows = choices.map((timer, index) => `  ${index + 1}  ${timer.function}  ${timer.schedule}`);
    screen.line(`Which timer?\n${rows.join("\n")}`);
  }

  function choose(key: string): void {
    const timer = choices?.[Number(key) - 1];
    choices = undefined;
    if (timer === undefined) screen.line("None is fired.");
    else fire(timer);
  }

  function fire(timer: DevTimer): void {
    actions.fire(timer).catch((error) => screen.line(`${timer.function}: ${(error as Error).message}`));
  }

  const hear = (text: string) => {
    for (const key of text) press(key);
  };
  input.setRawMode(true);
  input.setEncoding("utf8").on("data", hear);
  return () => {
    input.off("data", hear);
    input.setRawMode(false);
    input.pause();
  };
}
