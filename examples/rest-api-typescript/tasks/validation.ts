import type { Fields } from "./store.ts";

/** A request that can't be served as it is: the status says whose move it is, the message what to change. */
export class Refusal extends Error {
  readonly status: number;
  readonly problems: Readonly<Record<string, string>>;

  constructor(status: number, message: string, problems: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.problems = problems;
  }
}

const LONGEST_TITLE = 200;

/** All fields of a new task; `done` may be left out. @throws Refusal naming each field that is wrong */
export function readNew(input: unknown): Fields {
  const fields = readFields(input, ["title"]);
  return { title: fields.title!, done: fields.done ?? false };
}

/** Some fields of a task. @throws Refusal */
export function readChange(input: unknown): Partial<Fields> {
  const fields = readFields(input, []);
  if (Object.keys(fields).length === 0) throw new Refusal(422, "There is nothing to change: send title or done.");
  return fields;
}

function readFields(input: unknown, required: readonly string[]): Partial<Fields> {
  if (typeof input !== "object" || input === null || Array.isArray(input) || ArrayBuffer.isView(input))
    throw new Refusal(400, "Send a JSON object, with Content-Type: application/json.");
  const problems: Record<string, string> = {};
  for (const name of required) if (!Object.hasOwn(input, name)) problems[name] = "is missing";
  for (const [name, value] of Object.entries(input)) {
    const problem = problemOf(name, value);
    if (problem !== undefined) problems[name] = problem;
  }
  if (Object.keys(problems).length > 0) throw new Refusal(422, "The task is not right.", problems);
  const { title, done } = input as Partial<Fields>;
  return { ...(title !== undefined && { title: title.trim() }), ...(done !== undefined && { done }) };
}

function problemOf(name: string, value: unknown): string | undefined {
  if (name === "done") return typeof value === "boolean" ? undefined : "must be true or false";
  if (name !== "title") return "is not known: a task has title and done";
  if (typeof value !== "string" || value.trim() === "") return "must be a text that is not empty";
  return value.length > LONGEST_TITLE ? `must have at most ${LONGEST_TITLE} characters` : undefined;
}
