import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { ERRORS, type ErrorCode, PlatformError } from "#contract/errors.ts";
import { problemHeaders, problemText } from "./problem.ts";

/** Bounds of the front door. Each has a test in server.test.ts. */
export interface ServerLimits {
  /** Bytes of all headers of a request together. */
  readonly headerBytes: number;
  readonly headers: number;
  /** From the first byte until all headers are there. */
  readonly headersTimeoutMs: number;
  /** Until the whole body is there. */
  readonly requestTimeoutMs: number;
  /** A connection without a request. */
  readonly keepAliveMs: number;
  readonly connections: number;
  /** How often slow senders are looked for. */
  readonly checkEveryMs: number;
}

export const SERVER_LIMITS: ServerLimits = Object.freeze({
  headerBytes: 16 * 1024,
  headers: 200,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 300_000,
  keepAliveMs: 65_000,
  connections: 20_000,
  checkEveryMs: 2_000,
});

/** `continues`: the caller waits for `100 Continue` before it sends the body. */
type Handler = (request: IncomingMessage, response: ServerResponse, continues?: boolean) => void;

/** The HTTP server of the edge, bounded in every dimension that a caller controls. */
export function createEdgeServer(handler: Handler, limits: ServerLimits): Server {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: limits.checkEveryMs,
      noDelay: true,
      // A request without a body gets no stream of it: 3 to 5 % of the gateway's time.
      optimizeEmptyRequests: true,
      insecureHTTPParser: false,
      // The edge refuses it with a code of the catalogue.
      requireHostHeader: false,
    },
    (request, response) => handler(request, response),
  );
  server.maxHeadersCount = limits.headers;
  server.maxConnections = limits.connections;
  server.on("clientError", refuseMalformed);
  server.on("connect", (_request, socket: Socket) =>
    refuse(socket, "bad-request", "CONNECT is not served: this is no proxy"),
  );
  server.on("checkExpectation", (request, response) => refuseExpectation(request.headers.expect, response));
  server.on("checkContinue", (request, response) => handler(request, response, true));
  return server;
}

/** @throws PlatformError naming address and port when they can't be had. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "is taken" : `can't be used (${error.code})`;
      reject(
        new PlatformError("unavailable", `${host}:${port} ${why}: choose another with COLIBRI_PORT and COLIBRI_BIND`, {
          cause: error,
        }),
      );
    });
    server.listen({ host, port, backlog: 4_096 }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Node's own note of which response has the connection now. */
type Answering = Socket & { readonly _httpMessage?: ServerResponse | null };

/** A request that can't be parsed, or did not arrive in time. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  const answering = (socket as Answering)._httpMessage;
  // An answer that has begun, or one that is owed to a request in front of this one, must not be mixed with another.
  const busy = answering !== undefined && answering !== null && (answering.headersSent || answering.req.complete);
  if (busy || error.code === "ECONNRESET" || !socket.writable) socket.destroy();
  else refuse(socket, ...describe(error.code));
}

/** Where there is no response to answer with. */
function refuse(socket: Socket, code: ErrorCode, message: string): void {
  const { status } = ERRORS[code];
  const body = problemText(code, message);
  const headers = ["Connection", "close", ...problemHeaders(code, message, body)];
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`;
  socket.write(`${head}\r\n${body}`);
  // Not `end` alone: a caller that never closes its side would keep the connection for ever.
  socket.destroySoon();
}

function describe(code: string | undefined): [ErrorCode, string] {
  if (code === "HPE_HEADER_OVERFLOW")
    return ["headers-too-large", "the request's headers are larger, or more, than the gateway takes"];
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return ["request-timeout", "the request did not arrive completely in time"];
  return ["bad-request", `the request is not well-formed HTTP/1.1 (${code ?? "unknown"})`];
}

function refuseExpectation(expect: string | undefined, response: ServerResponse): void {
  const code = "expectation-failed";
  const message = `the request expects ${expect ?? "something"}, the gateway knows 100-continue only`;
  const body = problemText(code, message);
  response.writeHead(ERRORS[code].status, [...problemHeaders(code, message, body), "Connection", "close"]).end(body);
}
