import type { Readable } from "node:stream";
import { object, type Shape } from "#contract/shape.ts";
import {
  type AnswerHead,
  type Api,
  type App,
  type Config,
  type ConfigChange,
  ConnectionError,
  createClient,
  type Deployment,
  type DeploymentEvent,
  type DeploymentPreview,
  type DeploymentRequest,
  type FunctionResource,
  type Health,
  type Invocation,
  type LogLine,
  ApiError as Refusal,
  type Revision,
  type Runtime,
} from "#sdk/node/client.ts";
import { type Connection, unreachable } from "../connection/connection.ts";
import type { FunctionName } from "../target.ts";
import { problemOf, StrangeAnswer } from "./problem.ts";
import * as shapes from "./shapes.ts";

export interface LogQuery {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly since?: string;
  readonly invocation?: string;
}

/**
 * The control API, as one tenant: the SDK's client, whose failures become those of commands. Every method throws CliError, also where
 * an answer has not the shape that it must have.
 */
export class Client {
  readonly connection: Connection;
  readonly #api: Api;

  constructor(connection: Connection, tenant: string, signal?: AbortSignal) {
    this.connection = connection;
    const { control, token } = connection;
    // What is tried again, and how that is told, is for the commands to say.
    this.#api = createClient({ url: control.value, token: token?.value ?? "", tenant, signal, attempts: 1 });
  }

  health(idleMs?: number): Promise<Health> {
    return this.#told(this.#api.getHealth({}, { idleMs }), shapes.HEALTH);
  }

  async runtimes(): Promise<readonly Runtime[]> {
    const { items } = await this.#told(this.#api.listRuntimes(), object({ items: shapes.listOf(shapes.RUNTIME) }));
    return items;
  }

  apps(): Promise<App[]> {
    return this.#all(this.#api.listApps(), shapes.APP);
  }

  app(app: string): Promise<App> {
    return this.#told(this.#api.getApp({ app }), shapes.APP);
  }

  functions(app: string): Promise<FunctionResource[]> {
    return this.#all(this.#api.listFunctions({ app }), shapes.FUNCTION);
  }

  function(name: FunctionName): Promise<FunctionResource> {
    return this.#told(this.#api.getFunction(name), shapes.FUNCTION);
  }

  revisions(name: FunctionName): Promise<Revision[]> {
    return this.#all(this.#api.listRevisions(name), shapes.REVISION);
  }

  async invocations(name: FunctionName, limit: number): Promise<readonly Invocation[]> {
    const page = this.#api.listInvocations({ ...name, limit }).page();
    return (await this.#told(page, object({ items: shapes.listOf(shapes.INVOCATION) }))).items;
  }

  config(app: string): Promise<Config> {
    return this.#told(this.#api.getConfig({ app }), shapes.CONFIG);
  }

  changeConfig(app: string, change: ConfigChange, key: string): Promise<Deployment> {
    return this.#told(this.#api.changeConfig({ app, body: change, idempotencyKey: key }), shapes.DEPLOYMENT);
  }

  deleteApp(app: string): Promise<void> {
    return this.#told(this.#api.deleteApp({ app }));
  }

  deleteFunction(name: FunctionName): Promise<void> {
    return this.#told(this.#api.deleteFunction(name));
  }

  /** The byte at which to begin, or go on with, the upload of this archive. */
  async uploadStands(digest: string): Promise<number | "stored"> {
    let stands = "0";
    const onAnswer = ({ headers }: AnswerHead): void => {
      stands = String(headers["upload-offset"] ?? 0);
    };
    return (await this.#told(this.#api.checkUpload({ digest }, { onAnswer }))) ? "stored" : this.#offset(stands);
  }

  #offset(text: string): number {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw new StrangeAnswer(this.connection, `it says that the upload stands at ${JSON.stringify(text)}`);
  }

  /** `bytes`: of the whole archive; the body is what of it begins at `offset`. */
  async appendUpload(
    digest: string,
    { offset, bytes, body }: { readonly offset: number; readonly bytes: number; readonly body: Readable },
  ): Promise<number | "stored"> {
    let stands: string | undefined;
    const onAnswer = ({ status, headers }: AnswerHead): void => {
      if (status === 204) stands = String(headers["upload-offset"]);
    };
    const args = { digest, uploadOffset: offset, uploadLength: bytes, body };
    await this.#told(this.#api.appendUpload(args, { bodyBytes: bytes - offset, onAnswer }));
    return stands === undefined ? "stored" : this.#offset(stands);
  }

  deploy(request: DeploymentRequest, key: string): Promise<Deployment> {
    return this.#told(this.#api.createDeployment({ body: request, idempotencyKey: key }), shapes.DEPLOYMENT);
  }

  preview(request: DeploymentRequest): Promise<DeploymentPreview> {
    return this.#told(this.#api.previewDeployment({ body: request }), shapes.PREVIEW);
  }

  deployment(id: string): Promise<Deployment> {
    return this.#told(this.#api.getDeployment({ id }), shapes.DEPLOYMENT);
  }

  /** Ends when the stream does, cut off or not; throws when it can't be had. */
  deploymentEvents(id: string, after: number | undefined): AsyncIterable<DeploymentEvent> {
    return this.#lines((options) => this.#api.followDeployment({ id, after }, options), shapes.EVENT);
  }

  /** As with deployments; `connected` is called when the answer has begun. */
  logs(name: FunctionName, query: LogQuery, connected?: () => void): AsyncIterable<LogLine> {
    return this.#lines((options) => this.#api.readLogs({ ...name, ...query }, options), shapes.LOG_LINE, connected);
  }

  async *#lines<T>(
    ask: (options: { onAnswer: (head: AnswerHead) => void }) => AsyncIterable<T>,
    shape: Shape<T>,
    connected?: () => void,
  ): AsyncGenerator<T, void, void> {
    let strange: string | undefined;
    const onAnswer = ({ status, headers }: AnswerHead): void => {
      const type = String(headers["content-type"] ?? "nothing that says what it is");
      if (status >= 400 || (status === 200 && type.startsWith("application/x-ndjson"))) connected?.();
      else strange = `it answers ${status} with ${type} where lines of JSON are due`;
    };
    try {
      for await (const line of ask({ onAnswer })) {
        if (strange !== undefined) break;
        yield this.#checked(line, shape);
      }
      if (strange !== undefined) throw new StrangeAnswer(this.connection, strange);
    } catch (error) {
      if (strange !== undefined) throw new StrangeAnswer(this.connection, strange);
      throw this.#failed(error);
    }
  }

  #all<T>(listing: AsyncIterable<T>, shape: Shape<T>): Promise<T[]> {
    return this.#told(Array.fromAsync(listing, (item) => this.#checked(item, shape)));
  }

  async #told<T>(asked: Promise<T>, shape?: Shape<T>): Promise<T> {
    try {
      const answer = await asked;
      return shape === undefined ? answer : this.#checked(answer, shape);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #checked<T>(answer: T, shape: Shape<T>): T {
    const problem = shape.check(answer, "");
    if (problem === undefined) return answer;
    const told = problem.replace(/^[.:] ?/, "").replace(/: expected [^,]*, got undefined$/, " is missing");
    throw new StrangeAnswer(this.connection, `in its answer, ${told}`);
  }

  /** What is neither is a reason to end, or a stream that was cut: as it is. */
  #failed(error: unknown): unknown {
    if (error instanceof Refusal) return problemOf(error, this.connection);
    if (error instanceof ConnectionError) return unreachable(this.connection, error.cause);
    return error instanceof SyntaxError ? new StrangeAnswer(this.connection, error.message) : error;
  }
}
