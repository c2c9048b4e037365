import { inspect } from "node:util";
import type { Thrown } from "#contract/guest/link.ts";
import { shortenPaths, trimStack } from "./stack.ts";

const MAXIMUM = { name: 200, message: 8_192, stack: 32_768 } as const;

/** Anything may be thrown, also what throws when it is looked at. */
export function describeThrown(value: unknown): Thrown {
  try {
    if (value instanceof Error || isErrorLike(value))
      return {
        name: clip(String(value.name || "Error"), MAXIMUM.name),
        message: clip(shortenPaths(String(value.message)), MAXIMUM.message),
        stack: clip(trimStack(String(value.stack ?? "")), MAXIMUM.stack),
      };
    return { name: "Error", message: clip(typeof value === "string" ? value : inspect(value), MAXIMUM.message) };
  } catch {
    return { name: "Error", message: "something was thrown that can't be described" };
  }
}

/** For the log: stack, causes and fields. */
export function inspectThrown(value: unknown): string {
  try {
    return typeof value === "string" ? value : trimStack(inspect(value));
  } catch {
    return "something was thrown that can't be described";
  }
}

/** Errors of other realms are not instances of ours. */
function isErrorLike(value: unknown): value is Error {
  return typeof value === "object" && value !== null && "message" in value && "stack" in value;
}

function clip(text: string, maximum: number): string {
  return text.length > maximum ? `${text.slice(0, maximum - 1)}…` : text;
}
