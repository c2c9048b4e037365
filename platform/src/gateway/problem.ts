import type { ErrorCode } from "#contract/errors.ts";
import { PROBLEM_MEDIA_TYPE, problemDetails } from "#contract/problem.ts";

/** Header values: what is not printable ASCII would not survive everywhere. */
const UNPRINTABLE = /[^\x20-\x7e]+/g;
const LONGEST_MESSAGE = 512;

/** The body of an answer that is an error of the catalogue. */
export function problemText(code: ErrorCode, message: string, invocation?: string): string {
  return JSON.stringify({ ...problemDetails(code, message), invocation });
}

/** Name, value, name, value: what every such answer carries. */
export function problemHeaders(code: ErrorCode, message: string, body: string): string[] {
  return [
    "Content-Type",
    PROBLEM_MEDIA_TYPE,
    "Content-Length",
    String(Buffer.byteLength(body)),
    "Colibri-Error-Code",
    code,
    "Colibri-Error-Message",
    message.replace(UNPRINTABLE, " ").slice(0, LONGEST_MESSAGE),
  ];
}
