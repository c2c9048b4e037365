// biome-ignore-all lint/suspicious/noShadowRestrictedNames: to take their names is what this file is for
/**
 * What the guest uses of the globals it shares with user code, as it was before user code was loaded: a test's fake clock or a
 * polyfill that goes wrong then fails in its own code, not in the frames of the guest. The bundler puts these in place of the
 * globals of the same names (bundle.ts).
 *
 * Not here: what Node loads when it is first touched (fetch and its classes, streams, AbortController, URL), which would cost every
 * idle guest its memory, and `performance` each start 2 ms; and methods of prototypes, which cannot be had apart at no cost.
 */
const { parse, stringify } = globalThis.JSON;
const { alloc, allocUnsafeSlow, byteLength, concat, from, isBuffer } = globalThis.Buffer;
const { hrtime } = globalThis.process;

const ownJson = { parse, stringify };
const ownBuffer = { alloc, allocUnsafeSlow, byteLength, concat, from, isBuffer };
const ownPerformance = {
  /** Milliseconds on a clock that only goes forward. */
  now(): number {
    const [seconds, nanoseconds] = hrtime();
    return seconds * 1e3 + nanoseconds / 1e6;
  },
};

export { ownBuffer as Buffer, ownJson as JSON, ownPerformance as performance };

export const {
  Array,
  Date,
  Error,
  Map,
  Math,
  Number,
  Object,
  Promise,
  RegExp,
  Set,
  String,
  Symbol,
  SyntaxError,
  Uint8Array,
  clearTimeout,
  process,
  queueMicrotask,
  setImmediate,
  setTimeout,
} = globalThis;
