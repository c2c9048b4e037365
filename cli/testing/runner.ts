import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { functionPath } from "#contract/names.ts";
import { send } from "#sdk/node/client/request.ts";
import { reasonOf } from "../connection/connection.ts";
import { typeOfFile } from "../invoke/content-type.ts";
import { showBytes } from "../output/units.ts";
import type { Case, CaseBody } from "./case.ts";
import { type CaseAnswer, checkAnswer } from "./check.ts";

export type CaseOutcome = "passed" | "failed" | "skipped";

export interface CaseResult {
  readonly case: Case;
  readonly outcome: CaseOutcome;
  readonly tookMs: number;
  /** What is not as it was expected. */
  readonly problems: readonly string[];
  readonly invocation: string | undefined;
}

export interface RunnerOptions {
  /** Of the functions. */
  readonly url: string;
  readonly tenant: string;
  readonly app: string;
  /** Of the file of cases: what it names lies there. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly limits: AnswerLimits;
}

/** Of one answer: who calls an address that is no platform must not wait, or collect, for ever. */
export interface AnswerLimits {
  readonly bytes: number;
  /** From the request to the answer's end. */
  timeoutMs(fn: string): number;
}

export async function runCase(one: Case, options: RunnerOptions): Promise<CaseResult> {
  if (one.skip !== undefined) return { case: one, outcome: "skipped", tookMs: 0, problems: [], invocation: undefined };
  options.signal.throwIfAborted();
  const begun = performance.now();
  const timeoutMs = options.limits.timeoutMs(one.function);
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const answer = await call(one, { ...options, signal: AbortSignal.any([options.signal, late]) });
    const file = one.expect.file === undefined ? undefined : readFileSync(join(options.folder, one.expect.file));
    const problems = checkAnswer(one.expect, answer, file);
    const invocation = answer.headers["colibri-invocation-id"];
    return {
      case: one,
      outcome: problems.length === 0 ? "passed" : "failed",
      tookMs: answer.tookMs,
      problems,
      invocation,
    };
  } catch (error) {
    options.signal.throwIfAborted();
    const reason = late.aborted ? `none that is complete within ${timeoutMs / 1_000} s` : reasonOf(error);
    const problems = [`no answer came: ${reason}`];
    return { case: one, outcome: "failed", tookMs: performance.now() - begun, problems, invocation: undefined };
  }
}

async function call({ function: fn, request }: Case, options: RunnerOptions): Promise<CaseAnswer> {
  const { tenant, app, folder, signal } = options;
  const path = request.url ?? functionPath({ tenant, app, function: fn }) + request.path;
  const { content, type } = bodyOf(request.body, folder);
  const method = request.method ?? (content === undefined ? "GET" : "POST");
  const headers = {
    ...(content !== undefined && { "content-type": type, "content-length": content.length }),
    ...request.headers,
  };
  const begun = performance.now();
  const answer = await send({ method, url: options.url + path, headers, body: content, signal });
  const body = await bytesOf(answer, options.limits.bytes);
  const received = headersOf(answer);
  const cold = Number(/cold;dur=([\d.]+)/.exec(received["server-timing"] ?? "")?.[1] ?? 0);
  return {
    status: answer.statusCode ?? 0,
    headers: received,
    body,
    tookMs: Math.max(0, performance.now() - begun - cold),
  };
}

async function bytesOf(answer: IncomingMessage, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > limit) throw new Error(`it has more than the ${showBytes(limit)} that are compared`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function bodyOf(body: CaseBody, folder: string): { content: Buffer | undefined; type: string } {
  switch (body.kind) {
    case "none":
      return { content: undefined, type: "" };
    case "json":
      return { content: Buffer.from(JSON.stringify(body.value)), type: "application/json" };
    case "text":
      return { content: Buffer.from(body.text), type: "text/plain; charset=utf-8" };
    case "file":
      return { content: readFileSync(join(folder, body.path)), type: typeOfFile(body.path) };
  }
}

function headersOf(answer: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(answer.headersDistinct).map(([name, values]) => [name, (values ?? []).join(", ")]),
  );
}
