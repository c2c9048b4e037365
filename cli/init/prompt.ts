/** Questions at a terminal. Each leaves one line: the question with its answer. */

import type { Style } from "../output/style.ts";
import type { Output } from "../surroundings.ts";
import type { Keys } from "./keys.ts";

export interface Asking {
  readonly keys: Keys;
  readonly output: Output;
  readonly style: Style;
}

export interface Choice<T> {
  readonly value: T;
  readonly label: string;
  readonly detail?: string;
}

const ERASE_BELOW = "\u001b[J";
const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
const WIDTH = 80;
const HINT = " (arrows or a number, then Enter)";

/** Arrow keys or a number, then Enter. */
export async function select<T>(asking: Asking, question: string, choices: readonly Choice<T>[]): Promise<T> {
  const { keys, output, style } = asking;
  let at = 0;
  let digits = "";
  output.write(HIDE_CURSOR);
  try {
    for (;;) {
      const lines = listLines(asking, question, choices, at);
      output.write(`${lines.join("\n")}\n`);
      const { name, text } = await keys.next();
      output.write(`\u001b[${lines.length}A\r${ERASE_BELOW}`);
      if (name === "return" || name === "enter") break;
      digits = /^\d$/.test(text) ? numberAfter(digits, text, choices.length) : "";
      at = digits === "" ? moved(at, name, choices.length) : Number(digits) - 1;
    }
  } finally {
    output.write(SHOW_CURSOR);
  }
  output.write(`${answered(style, question, choices[at]!.label)}\n`);
  return choices[at]!.value;
}

/** A second digit makes a number of two where there is one so high; else it begins anew. */
function numberAfter(digits: string, digit: string, highest: number): string {
  const fits = [digits + digit, digit].find((text) => Number(text) >= 1 && Number(text) <= highest);
  return fits ?? "";
}

function moved(at: number, name: string, length: number): number {
  if (name === "down" || name === "j" || name === "tab") return (at + 1) % length;
  if (name === "up" || name === "k") return (at - 1 + length) % length;
  if (name === "home") return 0;
  return name === "end" ? length - 1 : at;
}

function listLines({ output, style }: Asking, question: string, choices: readonly Choice<unknown>[], at: number) {
  const columns = (output.columns || WIDTH) - 1;
  const width = Math.max(...choices.map(({ label }) => label.length));
  const rows = choices.map(({ label, detail = "" }, index) => {
    const number = String(index + 1).padStart(String(choices.length).length);
    const start = `${index === at ? "❯" : " "} ${number}  ${label.padEnd(width)}`.slice(0, columns);
    // A line that wraps would be two, and what is erased one too few.
    const end = `  ${detail}`.slice(0, Math.max(0, columns - start.length));
    return (index === at ? style("cyan", start) : start) + style("dim", end);
  });
  const hint = question.length + HINT.length + 2 > columns ? "" : HINT;
  return [`${style("cyan", "?")} ${style("bold", question)}${style("dim", hint)}`, ...rows];
}

export interface TextQuestion {
  readonly question: string;
  readonly fallback: string;
  /** What is wrong with the answer, or undefined. What was typed then stands there to be corrected. */
  readonly check: (answer: string) => string | undefined;
}

/** A line of text; Enter alone takes what is shown in brackets. */
export async function ask(asking: Asking, { question, fallback, check }: TextQuestion): Promise<string> {
  const { output, style } = asking;
  let typed = "";
  for (;;) {
    const prompt = `${style("cyan", "?")} ${style("bold", question)} ${style("dim", `(${fallback})`)} `;
    typed = (await readLine(asking, prompt, typed)).trim();
    const answer = typed === "" ? fallback : typed;
    output.write(`\r${ERASE_BELOW}`);
    const problem = check(answer);
    if (problem === undefined) {
      output.write(`${answered(style, question, answer)}\n`);
      return answer;
    }
    output.write(`${style("red", "!")} ${problem}\n`);
  }
}

/** `begun` is there already, as if it had been typed. */
async function readLine({ keys, output }: Asking, prompt: string, begun: string): Promise<string> {
  let line = begun;
  for (;;) {
    output.write(`\r${ERASE_BELOW}${prompt}${line}`);
    const { name, text } = await keys.next();
    if (name === "return" || name === "enter") return line;
    if (name === "backspace" || name === "ctrl-h") line = Array.from(line).slice(0, -1).join("");
    else if (name === "ctrl-u") line = "";
    else line += text;
  }
}

function answered(style: Style, question: string, answer: string): string {
  return `${style("green", "✓")} ${question}: ${style("cyan", answer)}`;
}
