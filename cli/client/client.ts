import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type {
  App,
  Config,
  ConfigChange,
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
import { problemOf } from "./problem.ts";
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

  config(app: string): Promise<Config> {
    return this.#json("getConfig", { app });
  }

  changeConfig(app: string, change: ConfigChange, key: string): Promise<Deployment> {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    return this.#json("changeConfig", { app }, { body: JSON.stringify(change), headers });
  }

  async deleteApp(app: string): Promise<void> {
    (await this.#call("deleteApp", { app })).resume();
  }

  async deleteFunction(name: FunctionName): Promise<void> {
    (await this.#call("deleteFunction", { ...name })).resume();
  }

  /** The byte at which to begin, or go on with, the upload of this archive. */
  async uploadStands(digest: string): Promise<number | "stored"> {
    const answer = await this.#send("checkUpload", { digest }, { idleMs: IDLE_MS });
    // HEAD answers have no body, so this 404 can't name a code.
    if (answer.statusCode !== 404) await this.#accepted(answer);
    answer.resume();
    return answer.statusCode !== 404 ? "stored" : Number(answer.headers["upload-offset"] ?? 0);
  }

  /** `bytes`: of the whole archive; the body is what of it begins at `offset`. */
  async appendUpload(
    digest: string,
    { offset, bytes, body }: { readonly offset: number; readonly bytes: number; readonly body: Readable },
  ): Promise<number | "stored"> {
    const headers = {
      ...{ "content-type": "application/x-tar", "content-length": bytes - offset },
      ...{ "upload-offset": offset, "upload-length": bytes },
    };
    const answer = await this.#call("appendUpload", { digest }, { body, headers, idleMs: IDLE_MS });
    answer.resume();
    return answer.statusCode === 204 ? Number(answer.headers["upload-offset"]) : "stored";
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
    return this.#accepted(await this.#send(operation, params, options));
  }

  async #accepted(answer: IncomingMessage): Promise<IncomingMessage> {
    if ((answer.statusCode ?? 0) >= 400) throw await problemOf(answer, this.connection);
    return answer;
  }

  async #send(operation: UsedOperation, params: Params, options: CallOptions): Promise<IncomingMessage> {
    const path = pathOf(operation, { tenant: this.#tenant, ...params }, options.query);
    const { control, token } = this.connection;
    return send({
      method: OPERATIONS[operation][0],
      url: control.value + path,
      headers: { accept: "*/*", ...(token && { authorization: `Bearer ${token.value}` }), ...options.headers },
      body: options.body,
      idleMs: options.idleMs,
      signal: options.signal ?? this.#signal,
    }).catch((error) => {
      throw this.#failed(error);
    });
  }

  #failed(error: unknown): unknown {
    return error instanceof CliError ? error : unreachable(this.connection, error);
  }
}

interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}
