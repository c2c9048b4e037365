import { getRandomValues } from "node:crypto";

/** Randomness, as far as the platform may have it. */
export interface Random {
  /** From 0 up to, not including, 1. */
  next(): number;
  /** An integer from 0 up to, not including, `below`. */
  below(below: number): number;
  bytes(length: number): Buffer;
}

export function createSystemRandom(): Random {
  return {
    next: () => Math.random(),
    below: (below) => Math.floor(Math.random() * below),
    bytes: (length) => Buffer.from(getRandomValues(new Uint8Array(length))),
  };
}

/** Repeatable from its seed (mulberry32): for simulation and tests, never for secrets. */
export function createSeededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (below) => Math.floor(next() * below),
    bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256))),
  };
}
