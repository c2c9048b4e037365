import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { ERRORS, type ErrorCode, PlatformError } from "#contract/errors.ts";

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

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

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
      insecureHTTPParser: false,
    },
    handler,
  );
  server.maxHeadersCount = limits.headers;
  server.maxConnections = limits.connections;
  server.on("clientError", refuseMalformed);
  server.on("checkExpectation", (_request, response) => refuseExpectation(response));
  server.on("checkContinue", (request, response) => {
    response.writeContinue();
    handler(request, response);
  });
  return server;
}

/** @throws PlatformError naming address and port when they can't be had. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
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

function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, message] = describe(error.code);
  const { status } = ERRORS[code];
  const body = JSON.stringify({
    type: `docs/errors.md#${code}`,
    title: ERRORS[code].meaning,
    status,
    code,
    detail: message,
  });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? "Error"}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Colibri-Error-Code: ${code}`,
    `Colibri-Error-Message: ${message}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  431: "Request Header Fields Too Large",
};

function describe(code: string | undefined): [ErrorCode, string] {
  if (code === "HPE_HEADER_OVERFLOW")
    return ["headers-too-large", "the request's headers are larger than the gateway takes"];
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return ["request-timeout", "the request did not arrive completely in time"];
  return ["bad-request", `the request is not well-formed HTTP/1.1 (${code ?? "unknown"})`];
}

function refuseExpectation(response: ServerResponse): void {
  const code = "expectation-failed";
  response
    .writeHead(ERRORS[code].status, ["Content-Type", "text/plain", "Colibri-Error-Code", code, "Connection", "close"])
    .end(`${ERRORS[code].meaning}\n`);
}
