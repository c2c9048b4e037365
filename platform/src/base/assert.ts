/** For bugs only: a failed assertion crashes the unit and the supervisor restarts it. Never caught to steer. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`bug: ${message}`);
}

/** Ends every switch over a union. */
export function assertNever(value: never, what: string): never {
  throw new Error(`bug: unexpected ${what}: ${JSON.stringify(value)}`);
}
