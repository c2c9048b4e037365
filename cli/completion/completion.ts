import type { Argument, Command, Option } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { valuesOf } from "./values.ts";

export interface Candidate {
  readonly value: string;
  readonly about?: string;
}

export interface Completion {
  /** What the shell is to offer beside the candidates. */
  readonly also: "none" | "files" | "folders";
  readonly candidates: readonly Candidate[];
}

/** What stands before the word in question: the command it belongs to, and how many operands of that there are. */
interface Place {
  readonly command: Command;
  readonly operands: number;
  /** The option whose value is being typed. */
  readonly option: Option | undefined;
  /** Nothing is an option any more. */
  readonly ended: boolean;
}

/** `words`: what was typed after the program's name; the last one is being typed, and may be empty. */
export async function completionOf(
  surroundings: Surroundings,
  program: Command,
  words: readonly string[],
): Promise<Completion> {
  const joined = joinAssignments(words);
  const typed = joined.at(-1) ?? "";
  const place = placeOf(program, joined.slice(0, -1));
  const [, flag, value] = /^(--[^=]+)=(.*)$/s.exec(typed) ?? [];
  if (flag !== undefined && value !== undefined && !place.ended) {
    const option = findOption(place.command, flag);
    if (option === undefined) return NOTHING;
    const found = await valueCompletion(surroundings, joined, option, value);
    // bash has the value as a word of its own, where the others have it together with the option.
    return joined.length < words.length ? found : prefixed(found, `${flag}=`);
  }
  if (place.option !== undefined) return valueCompletion(surroundings, joined, place.option, typed);
  if (typed.startsWith("-") && !place.ended) return matching(optionsOf(place.command), typed);
  const commands = place.operands === 0 ? commandsOf(place.command) : [];
  const argument = argumentAt(place.command, place.operands);
  const values = argument === undefined ? NOTHING : await valueCompletion(surroundings, joined, argument, typed);
  return { also: values.also, candidates: [...matching(commands, typed).candidates, ...values.candidates] };
}

const NOTHING: Completion = { also: "none", candidates: [] };

/** bash splits at `=`. */
function joinAssignments(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const [index, word] of words.entries()) {
    const before = joined.at(-1);
    const assigns = before?.startsWith("--") && (word === "=" || words[index - 1] === "=") && index > 0;
    if (assigns) joined[joined.length - 1] = before + word;
    else joined.push(word);
  }
  return joined;
}

function placeOf(program: Command, words: readonly string[]): Place {
  let place: Place = { command: program, operands: 0, option: undefined, ended: false };
  for (const word of words) place = after(place, word);
  return place;
}

function after(place: Place, word: string): Place {
  const { command, operands, option, ended } = place;
  if (option !== undefined) return { ...place, option: undefined };
  if (word === "--") return { ...place, ended: true };
  if (word.startsWith("-") && !ended) {
    const found = word.includes("=") ? undefined : findOption(command, word);
    return { ...place, option: found?.required ? found : undefined };
  }
  const inner = operands === 0 ? command.commands.find((child) => isNamed(child, word)) : undefined;
  return inner === undefined ? { ...place, operands: operands + 1 } : { ...place, command: inner };
}

function isNamed(command: Command, word: string): boolean {
  return command.name() === word || command.aliases().includes(word);
}

function findOption(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => long === flag || short === flag);
}

function argumentAt({ registeredArguments }: Command, index: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic ? last : undefined);
}

function commandsOf({ commands }: Command): Candidate[] {
  return commands
    .filter((child) => !child.name().startsWith("__"))
    .map((child) => ({ value: child.name(), about: child.description() }));
}

function optionsOf(command: Command): Candidate[] {
  const own = command.options.filter(({ hidden }) => !hidden);
  const help = { value: "--help", about: "show this help" };
  return [...own.map(({ long, short, description }) => ({ value: long ?? short ?? "", about: description })), help];
}

async function valueCompletion(
  surroundings: Surroundings,
  words: readonly string[],
  of: Option | Argument,
  typed: string,
): Promise<Completion> {
  const { also, candidates } = await valuesOf(surroundings, words, of, typed);
  return { also, candidates: matching(candidates, typed).candidates };
}

function matching(candidates: readonly Candidate[], typed: string): Completion {
  return { also: "none", candidates: candidates.filter(({ value }) => value.startsWith(typed)) };
}

function prefixed({ also, candidates }: Completion, prefix: string): Completion {
  return { also, candidates: candidates.map((candidate) => ({ ...candidate, value: prefix + candidate.value })) };
}
