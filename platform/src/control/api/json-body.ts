import { PlatformError } from "#contract/errors.ts";
import { isObject } from "#contract/shape.ts";

/** A request's JSON, without keys that would change what other objects are when they are copied. */
export function parseJsonBody(text: string): unknown {
  if (text === "") throw new PlatformError("bad-input", "The body is empty: send a JSON object.");
  try {
    return JSON.parse(text.replace(/^\ufeff/, ""), refusePrototypes);
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw new PlatformError("bad-input", `The body is not JSON: ${(error as Error).message}.`);
  }
}

function refusePrototypes(key: string, value: unknown): unknown {
  if (key === "__proto__" || (key === "constructor" && isObject(value) && Object.hasOwn(value, "prototype")))
    throw new PlatformError(
      "bad-input",
      `The body has a key ${JSON.stringify(key)}, which no object may have: choose another name.`,
    );
  return value;
}
