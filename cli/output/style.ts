import { styleText } from "node:util";
import type { Output, Surroundings } from "../surroundings.ts";

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "cyan" | "blue" | "magenta";
export type Style = (colour: Colour, text: string) => string;

/** Colours for a terminal, none for anything else. https://no-color.org, https://force-color.org */
export function createStyle(stream: Output, env: Surroundings["env"]): Style {
  const colours = env.NO_COLOR ? false : env.FORCE_COLOR ? true : stream.isTTY === true && env.TERM !== "dumb";
  return colours ? (colour, text) => styleText(colour, text, { validateStream: false }) : (_colour, text) => text;
}
