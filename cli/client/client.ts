import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type {
  App,
  Deployment,
  DeploymentEvent,
  DeploymentPreview,
  DeploymentRequest,
  FunctionResource,
  Health,
  InvocationRecord,
  LogLine,
  Revision,
  Runtime,
} from "#contract/api/resources.ts";
import { type Connection, unreachable } from "../connection/connection.ts";
import { CliError } from "../failure.ts";
import type { FunctionName } from "../target.ts";
import { readLines } from "./ndjson.ts";
import { OPERATIONS, type Params, pathOf, type Query, type UsedOperation } from "./operations.ts";
import { ApiError, problemOf } from "./problem.ts";
import { send, textOf } from "./request.ts";

const IDLE_MS = 30_000;

interface CallOptions {
  readonly query?: Query;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Readable;
  readonly signal?: AbortSignal | undefined;
  readonly idleMs?: number | undefined;
}

export type LogQuery = Query & { follow?: boolean; tail?: number; since?: string; invocation?: string };

/** The control API, as one tenant. Every method throws ApiError or CliError. */
export class Client {
  readonly connection: Connection;
  readonly #tenant: string;
  readonly #signal: AbortSignal | undefined;

  constructor(connection: Connection, tenant: string, signal?: AbortSignal) {
    this.connection = connection;
    this.#tenant = tenant;
    this.#signal = signal;
  }

  health(idleMs?: number): Promise<Health> {
    return this.#json("getHealth", {}, { idleMs });
  }

  async runtimes(): Promise<Runtime[]> {
    return (await this.#json<Page<Runtime>>("listRuntimes", {})).items;
  }

  apps(): Promise<App[]> {
    return this.#all("listApps", {});
  }

  app(app: string): Promise<App> {
    return this.#json("getApp", { app });
  }

  functions(app: string): Promise<FunctionResource[]> {
    return this.#all("listFunctions", { app });
  }

  function(name: FunctionName): Promise<FunctionResource> {
    return this.#json("getFunction", { ...name });
  }

  revisions(name: FunctionName): Promise<Revision[]> {
    return this.#all("listRevisions", { ...name });
  }

  async invocations(name: FunctionName, limit: number): Promise<InvocationRecord[]> {
    const page = await this.#json<Page<InvocationRecord>>("listInvocations", { ...name }, { query: { limit } });
    return page.items;
  }

  async deleteApp(app: string): Promise<void> {
    (await this.#call("deleteApp", { app })).resume();
  }

  async deleteFunction(name: FunctionName): Promise<void> {
    (await this.#call("deleteFunction", { ...name })).resume();
  }

  async hasUpload(digest: string): Promise<boolean> {
    try {
      (await this.#call("checkUpload", { digest })).resume();
      return true;
    } catch (error) {
      // HEAD answers have no body, so this 404 can't name a code.
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  async upload(digest: string, body: Readable, bytes: number): Promise<void> {
    const headers = { "content-type": "application/x-tar", "content-length": bytes };
    (await this.#call("putUpload", { digest }, { body, headers })).resume();
  }

  deploy(request: DeploymentRequest, key: string): Promise<Deployment> {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    return this.#json("createDeployment", {}, { body: JSON.stringify(request), headers });
  }

  preview(request: DeploymentRequest): Promise<DeploymentPreview> {
    const headers = { "content-type": "application/json" };
    return this.#json("previewDeployment", {}, { body: JSON.stringify(request), headers });
  }

  deployment(id: string): Promise<Deployment> {
    return this.#json("getDeployment", { id });
  }

  /** Ends when the stream does, cut off or not; throws when it can't be had. */
  deploymentEvents(id: string, after: number | undefined): AsyncIterable<DeploymentEvent> {
    return this.#stream("followDeployment", { id }, { after });
  }

  /** As with deployments; `connected` is called when the answer has begun. */
  logs(name: FunctionName, query: LogQuery, connected?: () => void): AsyncIterable<LogLine> {
    return this.#stream("readLogs", { ...name }, query, connected);
  }

  async #all<T>(operation: UsedOperation, params: Params): Promise<T[]> {
    const items: T[] = [];
    for (let cursor: string | undefined; ; ) {
      const page: Page<T> = await this.#json<Page<T>>(operation, params, { query: { cursor, limit: 1000 } });
      items.push(...page.items);
      if (page.next === undefined) return items;
      cursor = page.next;
    }
  }

  async *#stream<T>(
    operation: UsedOperation,
    params: Params,
    query: Query,
    connected?: () => void,
  ): AsyncGenerator<T, void, void> {
    const answer = await this.#call(operation, params, { query });
    connected?.();
    yield* readLines(answer) as AsyncGenerator<T, void, void>;
  }

  async #json<T>(operation: UsedOperation, params: Params, options: CallOptions = {}): Promise<T> {
    const answer = await this.#call(operation, params, { idleMs: IDLE_MS, ...options });
    const text = await textOf(answer).catch((error) => {
      throw this.#failed(error);
    });
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new CliError(`${this.connection.control.value} did not answer with JSON: is it Colibri's control address?`);
    }
  }

  async #call(operation: UsedOperation, params: Params, options: CallOptions = {}): Promise<IncomingMessage> {
    const path = pathOf(operation, { tenant: this.#tenant, ...params }, options.query);
    const { control, token } = this.connection;
    const answer = await send({
      method: OPERATIONS[operation][0],
      url: control.value + path,
      headers: { accept: "*/*", ...(token && { authorization: `Bearer ${token.value}` }), ...options.headers },
      body: options.body,
      idleMs: options.idleMs,
      signal: options.signal ?? this.#signal,
    }).catch((error) => {
      throw this.#failed(error);
    });
    if ((answer.statusCode ?? 0) >= 400) throw await problemOf(answer, this.connection);
    return answer;
  }

  #failed(error: unknown): unknown {
    return error instanceof CliError ? error : unreachable(this.connection, error);
  }
}

interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}
