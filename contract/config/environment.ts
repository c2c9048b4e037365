export const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const RESERVED = /^COLIBRI_/i;
/** What a plan carries for one function; execve takes no more in one string either. */
const MAXIMUM_VALUE_BYTES = 128 * 1_024 - 1;
export const MAXIMUM_VARIABLES = 1_000;
export const MAXIMUM_ENVIRONMENT_BYTES = 512 * 1_024;

/** What is wrong with an environment variable, or undefined. */
export function variableProblem(name: string, value: string): string | undefined {
  if (!VARIABLE.test(name)) return "is no name of a variable: use letters, digits and _, not starting with a digit";
  if (RESERVED.test(name)) return "begins with COLIBRI_, which is reserved for the platform: rename it";
  if (value.includes("\0")) return "contains a NUL character, which no environment can hold";
  if (Buffer.byteLength(value) > MAXIMUM_VALUE_BYTES) return `is longer than ${MAXIMUM_VALUE_BYTES} bytes`;
  return undefined;
}

export function environmentBytes(environment: Readonly<Record<string, string>>): number {
  return Object.entries(environment).reduce(
    (sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 2,
    0,
  );
}
