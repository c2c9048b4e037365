import { ERRORS, type ErrorCode } from "#contract/errors.ts";

/** Header values: what is not printable ASCII would not survive everywhere. */
const UNPRINTABLE = /[^\x20-\x7e]+/g;
const LONGEST_MESSAGE = 512;

/** The body of an answer that is an error of the catalogue (RFC 9457). */
export function problemText(code: ErrorCode, message: string, invocation?: string): string {
  const { status, meaning } = ERRORS[code];
  return JSON.stringify({ type: `docs/errors.md#${code}`, title: meaning, status, code, detail: message, invocation });
}

/** Name, value, name, value: what every such answer carries. */
export function problemHeaders(code: ErrorCode, message: string, body: string): string[] {
  return [
    "Content-Type",
    "application/problem+json",
    "Content-Length",
    String(Buffer.byteLength(body)),
    "Colibri-Error-Code",
    code,
    "Colibri-Error-Message",
    message.replace(UNPRINTABLE, " ").slice(0, LONGEST_MESSAGE),
  ];
}
