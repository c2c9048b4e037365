import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, type FastifySchema, fastify } from "fastify";
import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { Log } from "#base/log.ts";
import { type Operation, ROUTES, type Route } from "#contract/api/routes.ts";
import { ERRORS, type ErrorCode, PlatformError } from "#contract/errors.ts";
import { checkAccess, type Tokens } from "../access.ts";
import type { Call, Handler, Handlers } from "./handler.ts";
import { createHostCheck } from "./hosts.ts";
import { parseJsonBody } from "./json-body.ts";
import { sendLines } from "./ndjson.ts";
import { PROBLEM_TYPE, problemOf, problemOfError } from "./problem.ts";
import { compileValidator } from "./validation.ts";

/**
 * The HTTP side of the API: every row of the route table, and what is the same for all of them. Requests pass, in this order:
 * Host header, permission, shape, handler. Whatever goes wrong is answered as problem+json.
 */
export interface ServerDeps {
  readonly clock: Clock;
  readonly tokens: Tokens;
  readonly handlers: Handlers;
  readonly ids: Ids;
  readonly log: Log;
  /** Aborts when control closes: streams end. */
  readonly closing: AbortSignal;
}

export interface ServerOptions {
  readonly bind: string;
  readonly bodyBytes: number;
}

type Server = FastifyInstance;

/** Whoever is still sending when the answer is known has this long to read it. */
const LINGER_MS = 2_000;

export function createServer(deps: ServerDeps, options: ServerOptions): Server {
  const server = fastify({
    logger: false,
    bodyLimit: options.bodyBytes,
    // Uploads may take long; what is slow before a token was seen is cut off by headersTimeout.
    requestTimeout: 0,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    requestIdHeader: false,
    genReqId: () => deps.ids.next(),
    routerOptions: { maxParamLength: 512 },
    frameworkErrors: (error, request, reply) => fail(deps, error, request, reply),
    clientErrorHandler: refuseMalformed,
  });
  server.setValidatorCompiler(compileValidator);
  server.setSerializerCompiler(() => (value) => JSON.stringify(value));
  server.setErrorHandler((error, request, reply) => fail(deps, error, request, reply));
  server.setNotFoundHandler((request, reply) => fail(deps, unknownAddress(request), request, reply));
  const allowsHost = createHostCheck(options.bind);
  server.addHook("onRequest", async (request, reply) => {
    reply.headers({
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      "colibri-request-id": request.id,
    });
    if (!allowsHost(request.headers.host)) throw wrongHost(request.headers.host);
    const coding = request.headers["transfer-encoding"];
    if (coding !== undefined && coding.toLowerCase() !== "chunked") {
      // What stands in between may see other requests behind such a body than we do.
      reply.header("connection", "close");
      throw wrongCoding(coding);
    }
  });
  server.register(async (scope) => {
    takeJson(scope);
    registerAll(scope, deps, (row) => row.body !== "stream");
  });
  server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, done) => done(null, payload));
    registerAll(scope, deps, (row) => row.body === "stream");
  });
  return server;
}

/** Fastify's own parser says of each body that it refuses that it is no JSON. */
export function takeJson(scope: Server): void {
  scope.addContentTypeParser("application/json", { parseAs: "string" }, async (_request: unknown, body: string) =>
    parseJsonBody(body),
  );
}

function registerAll(scope: Server, deps: ServerDeps, wanted: (row: Route) => boolean): void {
  for (const operation of Object.keys(ROUTES) as Operation[]) {
    const row: Route = ROUTES[operation];
    if (wanted(row)) register(scope, deps, operation, row);
  }
}

function register<O extends Operation>(scope: Server, deps: ServerDeps, operation: O, row: Route): void {
  const handler: Handler<O> = deps.handlers[operation];
  scope.route({
    method: row.method,
    url: row.path,
    schema: checksOf(row),
    onRequest: async (request, reply) => authorize(deps, row, request, reply),
    handler: async (request, reply) => {
      const { params, query, body, headers } = request;
      const signal = AbortSignal.any([deps.closing, leaving(reply.raw)]);
      const call = { params, query, body: row.body === "stream" ? (body ?? request.raw) : body, headers, signal };
      // Its parts were checked with the row's schemas, which its type is made of.
      const answer = await handler(call as Call<O>);
      reply.code(answer.status ?? row.status).headers(answer.headers ?? {});
      if (isAsyncIterable(answer.body)) return stream(deps, request, reply, answer.body);
      if (row.answer === "text/plain" && answer.headers?.["content-type"] === undefined) reply.type("text/plain");
      return reply.send(reply.statusCode === 304 ? undefined : answer.body);
    },
  });
}

/** Only rows of lines have such a body. */
function isAsyncIterable(body: unknown): body is AsyncIterable<unknown> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

/** Answers are not checked, and so not slowed down: tests hold them to the table. */
function checksOf({ params, query, headers, body }: Route): FastifySchema {
  return {
    ...(params && { params }),
    ...(query && { querystring: query }),
    ...(headers && { headers }),
    ...(typeof body === "object" && { body }),
  };
}

function authorize(deps: ServerDeps, row: Route, request: FastifyRequest, reply: FastifyReply): void {
  const { tenant } = request.params as { tenant?: string };
  const access = checkAccess(deps.tokens, request.headers.authorization, { permission: row.permission, tenant });
  if (access.kind === "allowed") return;
  if (access.kind === "unauthorized") reply.header("www-authenticate", 'Bearer realm="colibri"');
  throw new PlatformError(access.kind, access.message);
}

async function stream(
  { log }: ServerDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  values: AsyncIterable<unknown>,
): Promise<void> {
  reply.hijack();
  // Finds out whether the follower's machine is still there.
  request.raw.socket.setKeepAlive(true, 30_000);
  const { "content-type": _, ...headers } = reply.getHeaders() as Record<string, string>;
  try {
    await sendLines(reply.raw, values, headers);
  } catch (error) {
    const left = (error as NodeJS.ErrnoException).code === "ERR_STREAM_PREMATURE_CLOSE";
    if (!left) log.warn("stream broken off", { requestId: request.id, path: request.url, error });
    reply.raw.destroy();
  }
}

function leaving(response: ServerResponse): AbortSignal {
  const left = new AbortController();
  response.once("close", () => left.abort());
  return left.signal;
}

function fail(deps: ServerDeps, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOfError(error, request.id) ?? unexpected(deps, error, request);
  if (problem.code === "method-not-allowed") reply.header("allow", methodsAt(request.url).join(", "));
  if (problem.status === 503) reply.header("retry-after", "1");
  reply.header("colibri-request-id", request.id);
  const body = JSON.stringify(problem);
  reply.code(problem.status).type(PROBLEM_TYPE);
  if (!request.raw.complete && (request.raw.method === "PUT" || request.raw.method === "PATCH"))
    answerSender(deps, request, reply, body);
  else reply.send(body);
}

/**
 * What is left of the body is of no use, so no further request can come behind it. But to close on somebody who is still sending
 * resets the connection, and may take the answer with it: so the rest is read for a while.
 */
function answerSender({ clock }: ServerDeps, request: FastifyRequest, reply: FastifyReply, body: string): void {
  reply.hijack();
  const { raw } = reply;
  const headers = reply.getHeaders() as OutgoingHttpHeaders;
  raw.writeHead(reply.statusCode, { ...headers, connection: "close", "content-length": Buffer.byteLength(body) });
  raw.write(body);
  if (request.raw.destroyed) return void raw.end();
  const end = (): void => {
    clock.cancel(timer);
    raw.end();
  };
  const timer = clock.after(LINGER_MS, end);
  request.raw.once("close", end).resume();
}

function unexpected({ log }: ServerDeps, error: unknown, request: FastifyRequest) {
  log.error("request failed", { requestId: request.id, method: request.method, path: request.url, error });
  return problemOf("internal", `The platform's log says more, under request ${request.id}.`, request.id);
}

function wrongHost(host: string | undefined): PlatformError {
  const message = `Control is bound to this machine and does not answer to the name "${host ?? ""}": use localhost or 127.0.0.1.`;
  return new PlatformError("forbidden", message);
}

function wrongCoding(coding: string): PlatformError {
  const message = `The Transfer-Encoding ${coding} is not understood: "chunked" is, alone and once.`;
  return new PlatformError("bad-request", message);
}

function unknownAddress({ method, url }: FastifyRequest): PlatformError {
  const methods = methodsAt(url);
  const path = url.split("?")[0];
  if (methods.length > 0)
    return new PlatformError("method-not-allowed", `${path} takes ${methods.join(", ")}, not ${method}.`);
  return new PlatformError("not-found", `There is nothing at ${path}: /v1/openapi.json lists what there is.`);
}

const PATTERNS = Object.values(ROUTES).map((row: Route) => ({
  method: row.method,
  matches: new RegExp(`^${row.path.replace(/:[a-z]+/g, "[^/]+")}$`),
}));

function methodsAt(url: string): string[] {
  const path = url.split("?")[0]!;
  return PATTERNS.filter((pattern) => pattern.matches.test(path)).map((pattern) => pattern.method);
}

const MALFORMED: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: "headers-too-large",
  ERR_HTTP_REQUEST_TIMEOUT: "request-timeout",
};

/** What is no HTTP has no request to answer to: the problem is written as it is, and the connection ends. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const code = MALFORMED[error.code ?? ""] ?? "bad-request";
  const { meaning, status } = ERRORS[code];
  const { requestId: _, ...problem } = problemOf(code, meaning, "");
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${status} ${code}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
