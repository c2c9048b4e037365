import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const COUNTER_LIMIT = 32 ** 4;

/** Makes ids as `contract/names.ts` describes them; those of one maker sort in the order they were made. */
export interface Ids {
  next(): string;
}

/**
 * 10 characters of time, 4 of a counter, 12 random ones fixed for this maker: cheap enough for the hot path, distinct between
 * makers, ordered within one. Not a secret.
 */
export function createIds(clock: Clock, random: Random): Ids {
  const maker = Array.from(random.bytes(12), (byte) => ALPHABET[byte & 31]).join("");
  let time = -1;
  let prefix = "";
  let counter = 0;
  return {
    next() {
      const now = Math.floor(clock.now());
      // A clock that stands or steps back must not break the order: the counter goes on, and time only moves forward.
      if (now > time || counter >= COUNTER_LIMIT) {
        time = Math.max(now, time + 1);
        prefix = encode(time, 10);
        counter = 0;
      }
      return prefix + encode(counter++, 4) + maker;
    },
  };
}

/** Milliseconds since 1970 in an id's first 10 characters. */
export function idTime(id: string): number {
  let time = 0;
  for (const character of id.slice(0, 10)) time = time * 32 + ALPHABET.indexOf(character);
  return time;
}

/** The smallest id of a moment: a bound for range queries. */
export function idFloor(timeMs: number): string {
  return encode(Math.max(0, Math.floor(timeMs)), 10) + "0".repeat(16);
}

function encode(value: number, length: number): string {
  let rest = value;
  let text = "";
  for (let index = 0; index < length; index++) {
    text = ALPHABET[rest % 32] + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
