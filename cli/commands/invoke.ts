import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { functionPath } from "#contract/names.ts";
import { send } from "#sdk/node/client/request.ts";
import { Client } from "../client/client.ts";
import { notFound } from "../client/not-found.ts";
import { type Connection, findConnection, reasonOf } from "../connection/connection.ts";
import { CliError, EXIT, type ExitCode, usageError } from "../failure.ts";
import { failureOf, headerOf, statusFailure, writeAnswer } from "../invoke/answer.ts";
import { type Body, type BodyOptions, bodyFrom } from "../invoke/body.ts";
import { checkPath } from "../invoke/path.ts";
import { printable } from "../output/printable.ts";
import { createStyle } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant, type FunctionName, parseFunctionName } from "../target.ts";

export interface InvokeOptions extends BodyOptions {
  readonly output?: string;
  readonly header?: readonly string[];
  readonly method?: string;
  readonly path?: string;
  readonly async?: boolean;
  readonly verbose?: boolean;
  readonly tenant: string;
}

export async function invoke(surroundings: Surroundings, name: string, options: InvokeOptions): Promise<ExitCode> {
  const target = parseFunctionName(name);
  const tenant = checkTenant(options.tenant);
  const connection = findConnection(surroundings);
  const url = connection.functions.value + functionPath({ tenant, ...target }) + checkPath(options.path);
  const given = parseHeaders(options.header ?? []);
  const method = checkMethod(options.method);
  const body = await bodyFrom(surroundings, options);
  const headers = { ...bodyHeaders(body), ...(options.async && { prefer: "respond-async" }), ...given };
  const answer = await send({ method: method ?? (body ? "POST" : "GET"), url, headers, body: body?.content }).catch(
    (error) => {
      throw away(connection, error, body);
    },
  );
  if (options.verbose) tellHead(surroundings, answer);
  const failure = await failureOf(answer, name);
  if (failure) throw await explained(failure, connection, tenant, target);
  if (options.async) tellAccepted(surroundings, answer);
  await writeAnswer(surroundings, answer, name, options.output);
  const ownFailure = statusFailure(answer, name);
  if (ownFailure) throw ownFailure;
  return EXIT.ok;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

function checkMethod(method: string | undefined): string | undefined {
  if (method === undefined) return undefined;
  if (!TOKEN.test(method)) throw usageError(`--method "${method}" is no HTTP method.`);
  return method.toUpperCase();
}

/** `Name: value` each; of the same name several may be given. */
function parseHeaders(lines: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (const line of lines) {
    const [, name = "", value = ""] = /^([^:]*):\s*(.*)$/.exec(line) ?? [];
    if (!TOKEN.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      throw usageError(`--header "${line}" is no header: write 'Name: value'.`);
    const key = name.toLowerCase();
    const before = headers[key];
    headers[key] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

function bodyHeaders(body: Body | undefined): OutgoingHttpHeaders {
  if (body === undefined) return {};
  return { "content-type": body.type, ...(body.bytes !== undefined && { "content-length": body.bytes }) };
}

function away({ functions }: Connection, error: unknown, body: Body | undefined): CliError {
  const { code } = error as { code?: string };
  if (code !== "ECONNREFUSED" && code !== "ENOTFOUND" && code !== "EAI_AGAIN")
    return new CliError(`The connection broke before an answer came (${reasonOf(error)}).`, {
      exit: EXIT.unreachable,
      hints: [
        "Whether the function ran is not known; its log tells.",
        // A refusal that comes while data is sent can be lost together with the connection.
        ...(body ? ["If much data was sent: it may be more than the function's `limits.body`."] : []),
      ],
      cause: error,
    });
  const elsewhere = functions.from.startsWith("the default")
    ? ["Start it with `npx colibri serve`, or set COLIBRI_HOME to the home of a running one, or COLIBRI_FUNCTIONS_URL."]
    : [
        `The address is from ${functions.from}.`,
        "Start the platform with `npx colibri serve`, or correct the address.",
      ];
  return new CliError(`No functions can be reached at ${functions.value} (${reasonOf(error)}).`, {
    exit: EXIT.unreachable,
    hints: elsewhere,
    cause: error,
  });
}

/** Of a function that is not there, what is there instead; control may be away, then as it was told. */
async function explained(
  failure: CliError,
  connection: Connection,
  tenant: string,
  target: FunctionName,
): Promise<CliError> {
  if (failure.code !== "function-not-found") return failure;
  return notFound(new Client(connection, tenant), target);
}

function tellHead(surroundings: Surroundings, answer: IncomingMessage): void {
  const style = createStyle(surroundings.stderr, surroundings.env);
  const lines = [`HTTP ${answer.statusCode} ${answer.statusMessage ?? ""}`];
  for (let index = 0; index + 1 < answer.rawHeaders.length; index += 2)
    lines.push(`${answer.rawHeaders[index]}: ${answer.rawHeaders[index + 1]}`);
  surroundings.stderr.write(lines.map((line) => `${style("dim", `< ${printable(line)}`)}\n`).join(""));
}

function tellAccepted(surroundings: Surroundings, answer: IncomingMessage): void {
  if (answer.statusCode !== 202) {
    surroundings.stderr.write("The function answered at once: it was not called asynchronously.\n");
    return;
  }
  const id = headerOf(answer, "colibri-invocation-id") ?? "unknown";
  const location = headerOf(answer, "location");
  const where = location === undefined ? "" : `; its answer will be at ${location}`;
  surroundings.stderr.write(`${printable(`Accepted as invocation ${id}${where}`)}.\n`);
}
