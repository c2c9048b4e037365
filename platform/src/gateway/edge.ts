import type { IncomingMessage } from "node:http";
import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import { count } from "#contract/count.ts";
import type { ErrorCode } from "#contract/errors.ts";
import type { InvocationStart } from "../dispatch/invocation.ts";
import type { RevisionDispatch } from "../dispatch/revision-dispatch.ts";
import { COLLECTED_BYTES, collectBody, declaredBytes, RequestBody } from "./body.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Exchange } from "./exchange.ts";
import type { Found, Routes } from "./routes.ts";

export interface EdgeOptions {
  /** Invocations under way in this gateway, at most; beyond, callers are sent away at once. */
  readonly maximumInFlight: number;
  /** Bytes of a request's target. */
  readonly maximumTargetBytes: number;
}

const SLASH = 47;
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;
/** W3C Trace Context, version 00. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

type Enter = (start: InvocationStart, revision: RevisionDispatch) => void;

/**
 * Hop 1: turns an HTTP request into the start of an invocation that knows no HTTP, or answers it right here.
 * Order: cheap refusals first, nothing is read of a body that will not be wanted.
 */
export class Edge {
  readonly #clock: Clock;
  readonly #ids: Ids;
  readonly #routes: Routes;
  readonly #dispatch: Dispatch;
  readonly #options: EdgeOptions;
  readonly #load: { readonly inFlight: number; readonly ready: boolean };

  constructor(
    deps: {
      clock: Clock;
      ids: Ids;
      routes: Routes;
      dispatch: Dispatch;
      load: { readonly inFlight: number; readonly ready: boolean };
    },
    options: EdgeOptions,
  ) {
    this.#clock = deps.clock;
    this.#ids = deps.ids;
    this.#routes = deps.routes;
    this.#dispatch = deps.dispatch;
    this.#load = deps.load;
    this.#options = options;
  }

  enter(request: IncomingMessage, exchange: Exchange, enter: Enter): void {
    const startedAt = this.#clock.monotonic();
    let target = request.url!;
    let host = request.headers.host ?? "";
    if (target.charCodeAt(0) !== SLASH) {
      // The form that proxies are sent: what it names replaces Host (RFC 9112 section 3.2.2).
      const absolute = ABSOLUTE.exec(target);
      if (absolute !== null) {
        host = absolute[1]!;
        if (host === "" || host.includes("@"))
          return exchange.refuse("bad-request", `the target ${target} must name a host, and no user`);
        target = target.slice(absolute[0].length);
        if (target.charCodeAt(0) !== SLASH) target = `/${target}`;
      }
    }
    const coding = request.headers["transfer-encoding"];
    if (coding !== undefined) {
      const wrong = wrongCoding(coding, request.httpVersionMinor);
      if (wrong !== undefined) return refuseCoding(request, exchange, wrong);
    }
    if (target === "/healthz") return exchange.health(this.#load.ready);
    exchange.id = this.#ids.next();
    if (this.#load.inFlight >= this.#options.maximumInFlight)
      return exchange.refuse(
        "overloaded",
        `${count(this.#load.inFlight, "invocation is", "invocations are")} under way, more than this gateway takes`,
      );
    if (target.length > this.#options.maximumTargetBytes)
      return exchange.refuse(
        "address-too-long",
        `the request target has ${target.length} characters, ${this.#options.maximumTargetBytes} are allowed`,
      );
    const malformed = wrongHead(request);
    if (malformed !== undefined) return exchange.refuse("bad-request", malformed);
    const question = target.indexOf("?");
    const path = question === -1 ? target : target.slice(0, question);
    const query = question === -1 ? "" : target.slice(question + 1);
    const found = this.#routes.find(request.method!, host, path);
    if (found.kind !== "found") return this.#refuseRoute(found, path, exchange);
    const revision = this.#dispatch.route(found.key);
    if (revision === undefined) return exchange.refuse("function-not-found", `no function answers at ${path}`);
    if (prefersAsync(request)) return exchange.submitLater(revision.ref);

    const bodyBytes = declaredBytes(request);
    const limit = found.plan.policy.limits.bodyBytes;
    if (bodyBytes > limit)
      return exchange.refuse(
        "body-too-large",
        `the body has ${count(bodyBytes, "byte")}, this function takes ${limit}`,
      );
    const begin = (body: Buffer | RequestBody | null) => {
      const start: InvocationStart = {
        id: exchange.id,
        headText: headText(request, found, host, query),
        body,
        bodyBytes: Buffer.isBuffer(body) ? body.length : 0,
        trigger: found.trigger,
        startedMs: this.#clock.now(),
        startedAt,
      };
      enter(start, revision);
    };
    if (bodyBytes === 0) begin(null);
    else if (bodyBytes > 0 && bodyBytes <= COLLECTED_BYTES) {
      exchange.bodyWanted();
      collectBody(request, bodyBytes, begin);
    } else begin(new RequestBody({ clock: this.#clock }, request, limit, exchange));
  }

  #refuseRoute(found: Exclude<Found, { kind: "found" }>, path: string, exchange: Exchange): void {
    if (found.kind === "method")
      return exchange.refuse("method-not-allowed", `${path} takes ${found.allow}`, ["Allow", found.allow]);
    if (found.kind === "malformed") return exchange.refuse("bad-request", found.message);
    const code: ErrorCode = this.#load.ready ? "function-not-found" : "not-ready";
    exchange.refuse(code, code === "not-ready" ? "the gateway has no plan yet" : `no function answers at ${path}`);
  }
}

/** What the parser lets through and HTTP/1.1 does not. */
function wrongHead(request: IncomingMessage): string | undefined {
  if (request.httpVersionMajor !== 1) return `HTTP/${request.httpVersion} is not spoken here: use HTTP/1.1`;
  const { rawHeaders } = request;
  let hosts = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.length === 4 && name.toLowerCase() === "host") hosts++;
  }
  if (hosts > 1) return "the request has more than one Host header";
  return hosts === 0 && request.httpVersionMinor > 0 ? "the request has no Host header" : undefined;
}

/**
 * What stands between us and the caller may understand any other list of codings in another way than the parser does, and then
 * see other requests than we do (RFC 9112 sections 6.1 and 11.2).
 */
function wrongCoding(coding: string, minor: number): string | undefined {
  if (minor === 0) return "HTTP/1.0 has no Transfer-Encoding: declare a Content-Length";
  return coding.toLowerCase() === "chunked"
    ? undefined
    : `the Transfer-Encoding ${coding} is not understood: "chunked" is, alone and once`;
}

/** The parser refuses some codings itself, but only when the edge has returned: nothing may be begun before. */
function refuseCoding(request: IncomingMessage, exchange: Exchange, wrong: string): void {
  queueMicrotask(() => {
    // While something of the body is missing, the refusal closes the connection by itself.
    exchange.refuse("bad-request", wrong, request.complete ? ["Connection", "close"] : []);
  });
}

function prefersAsync(request: IncomingMessage): boolean {
  const prefer = request.headers.prefer;
  return prefer !== undefined && /(^|,|;)\s*respond-async\s*($|,|;)/i.test(String(prefer));
}

/** JSON text of what the guest is told of the request. Headers go as they came, plus where they came from. */
function headText(
  request: IncomingMessage,
  found: Extract<Found, { kind: "found" }>,
  host: string,
  query: string,
): string {
  const headers = request.rawHeaders;
  headers.push(
    "X-Forwarded-For",
    request.socket.remoteAddress ?? "",
    "X-Forwarded-Proto",
    "http",
    "X-Forwarded-Host",
    host,
  );
  const params = found.params === undefined ? "" : `,"params":${JSON.stringify(found.params)}`;
  const trace = request.headers.traceparent;
  const traced = typeof trace === "string" && TRACEPARENT.test(trace) ? `,"trace":"${trace}"` : "";
  return `"request":{"method":"${request.method}","path":${JSON.stringify(found.path)},"query":${JSON.stringify(query)},"headers":${JSON.stringify(headers)}${params}}${traced}`;
}
