import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import { createLog, type LogFields } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type {
  Deployment,
  DeploymentRequest,
  FunctionConfig,
  InvocationRecord,
  LogLine,
} from "#contract/api/resources.ts";
import { type Operation, ROUTES, type Route } from "#contract/api/routes.ts";
import type { Digest } from "#contract/digest.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { createMemoryBlobs } from "#drivers/blobs/memory/driver.ts";
import { createMemoryStore } from "#drivers/store/memory/driver.ts";
import { createSqliteStore } from "#drivers/store/sqlite/driver.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import type { Store } from "#ports/store/index.ts";
import { ADMIN, createTokens, hashToken, type TokenRow } from "./access.ts";
import { type Control, type ControlDeps, type ControlOptions, createControl } from "./control.ts";
import type { Builder, BuildRequest } from "./deployments/builder.ts";
import type { LogReader, RecordReader } from "./history.ts";

/** Control as tests run it: real stores, real blobs, real HTTP; a builder that takes the source for the bundle. */

export const TOKEN = "token-of-the-test";
export const STORES = ["memory", "sqlite"] as const;

/** Constructed on what lies in `folder`, so that a second one finds what the first left. */
export interface Medium {
  /** Where it is on disk; "" when it is not. */
  readonly folder: string;
  /** For what has arrived of unfinished uploads. */
  readonly uploads: string;
  readonly store: () => Store;
  readonly blobs: () => Blobs;
  remove(): Promise<void>;
}

export async function makeMedium(kind: (typeof STORES)[number]): Promise<Medium> {
  const clock = createSystemClock();
  const folder = await mkdtemp(join(tmpdir(), "colibri-control-"));
  const uploads = join(folder, "uploads");
  const remove = () => rm(folder, { recursive: true });
  if (kind === "memory") {
    const blobs = createMemoryBlobs({ now: clock.now });
    return { folder: "", uploads, store: () => createMemoryStore({ id: "test" }), blobs: () => blobs, remove };
  }
  const onLost = (error: Error) => assert.fail(error);
  return {
    ...{ folder, uploads, remove },
    store: () => createSqliteStore({ onLost }, { path: join(folder, "control.db"), id: "test" }),
    blobs: () => createFilesystemBlobs({ root: join(folder, "blobs") }),
  };
}

/** Stores the source's bytes, marked, as the bundle. `before` may wait, print or fail. */
export class CopyingBuilder implements Builder {
  builds = 0;
  before: (request: BuildRequest, signal: AbortSignal) => Promise<void> | void = () => {};
  readonly #blobs: Blobs;

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  async build(request: BuildRequest, signal: AbortSignal): Promise<{ digest: Digest; bytes: number }> {
    this.builds++;
    request.onStep("copy");
    await this.before(request, signal);
    const source = await this.#blobs.get(request.tenant, request.source);
    assert.ok(source, "control asked to build a source that is not there");
    const bytes = Buffer.concat([Buffer.from("bundle "), ...(await Array.fromAsync(source))]);
    const digest = digestOf(bytes);
    await this.#blobs.put(request.tenant, digest, chunks(bytes), { maximumBytes: bytes.length });
    return { digest, bytes: bytes.length };
  }
}

export interface TestControl {
  readonly control: Control;
  readonly port: number;
  readonly client: Client;
  readonly builder: CopyingBuilder;
  readonly blobs: Blobs;
  readonly store: Store;
  readonly logged: readonly (LogFields & { message: string; level: string })[];
}

export interface TestControlOptions extends Partial<ControlOptions> {
  readonly deps?: Partial<ControlDeps>;
  readonly tokens?: readonly TokenRow[];
  readonly builder?: (blobs: Blobs) => CopyingBuilder;
}

export async function startControl(medium: Medium, options: TestControlOptions = {}): Promise<TestControl> {
  const { deps, tokens = [], builder: makeBuilder, ...rest } = options;
  const clock = createSystemClock();
  const random = createSystemRandom();
  const store = deps?.store ?? medium.store();
  const blobs = medium.blobs();
  const builder = makeBuilder?.(blobs) ?? new CopyingBuilder(blobs);
  const logged: (LogFields & { message: string; level: string })[] = [];
  const all: ControlDeps = {
    ...{ store, blobs, builder, clock, random, logs: NO_LOGS, records: NO_RECORDS },
    settled: async () => ({ kind: "settled" }),
    tokens: createTokens([{ hash: hashToken(TOKEN), principal: ADMIN }, ...tokens]),
    runtimes: () => RUNTIMES,
    roles: () => [],
    dropped: () => ({}),
    storage: async () => [],
    metrics: () => "up 1\n",
    ids: createIds(clock, random),
    log: createLog({ clock, write: (line) => void logged.push(JSON.parse(line)) }, { level: "info" }),
    ...deps,
  };
  const sandbox = { technology: "process", isolation: "none", detail: "" };
  const fixed = { bind: "127.0.0.1", port: 0, version: "0.0.0", sandbox, uploadsFolder: medium.uploads };
  const control = createControl(all, { ...fixed, ...rest });
  const port = await control.open(AbortSignal.timeout(10_000));
  return { control, port, client: new Client(port), builder, blobs, store, logged };
}

const RUNTIMES = [
  { name: "nodejs", version: "24.21.0", available: true, detail: "bundled" },
  { name: "python", version: "3.11.2", available: false, detail: "python3 is not installed: apt install python3" },
];
const NO_LOGS: LogReader = { async *read(): AsyncGenerator<LogLine> {}, remove: async () => {} };
const NO_RECORDS: RecordReader = {
  list: async () => ({ items: [] as InvocationRecord[] }),
  get: async () => undefined,
  remove: async () => {},
};

export interface Asked {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every kind, whose shape was checked before.
  readonly body: any;
}

/** Asks by operation, as the table says, and holds every answer to the table's schemas. */
export class Client {
  readonly url: string;
  readonly #token: string | null;

  constructor(port: number, token: string | null = TOKEN) {
    this.url = `http://127.0.0.1:${port}`;
    this.#token = token;
  }

  /** The same with another token; null: with none. */
  as(token: string | null): Client {
    return new Client(Number(new URL(this.url).port), token);
  }

  raw(operation: Operation, asked: Asked = {}): Promise<Response> {
    const row: Route = ROUTES[operation];
    const params: Readonly<Record<string, string>> = { tenant: "default", ...asked.params };
    const path = row.path.replace(/:([a-z]+)/g, (_, name: string) => encodeURIComponent(params[name] ?? "missing"));
    const query = new URLSearchParams(
      Object.entries(asked.query ?? {}).map(([key, value]): [string, string] => [key, String(value)]),
    );
    const json = asked.body !== undefined && row.body !== "stream";
    const headers = {
      ...(this.#token !== null && { authorization: `Bearer ${this.#token}` }),
      ...(json && { "content-type": "application/json" }),
      ...asked.headers,
    };
    return fetch(`${this.url}${path}?${query}`, {
      method: row.method,
      headers,
      ...(asked.body !== undefined && {
        body: (json ? JSON.stringify(asked.body) : asked.body) as string | Uint8Array<ArrayBuffer>,
      }),
      ...(asked.signal && { signal: asked.signal }),
    });
  }

  async ask(operation: Operation, asked: Asked = {}): Promise<Answered> {
    const response = await this.raw(operation, asked);
    const text = await response.text();
    const type = response.headers.get("content-type") ?? "";
    const body = text !== "" && type.includes("json") && !type.includes("ndjson") ? JSON.parse(text) : text;
    if (response.ok) holdToSchema(operation, body);
    else if (text !== "") assert.match(type, /^application\/problem\+json/);
    return { status: response.status, headers: response.headers, body };
  }

  /** Uploads this text as the source. */
  async upload(text: string, tenant = "default"): Promise<Digest> {
    const body = Buffer.from(text);
    const digest = digestOf(body);
    const { status } = await this.ask("putUpload", { params: { tenant, digest }, body });
    assert.ok(status === 201 || status === 204, `upload answered ${status}`);
    return digest;
  }

  /** Asks for a deployment and follows it to its end. */
  async deploy(request: DeploymentRequest, tenant = "default"): Promise<Deployment> {
    const { status, body } = await this.ask("createDeployment", { params: { tenant }, body: request });
    assert.equal(status, 202, JSON.stringify(body));
    return this.ended(body.id, tenant);
  }

  async ended(id: string, tenant = "default"): Promise<Deployment> {
    const events = await this.ask("followDeployment", { params: { tenant, id } });
    assert.match(events.body, /"kind":"end"[^\n]*\n$/);
    return (await this.ask("getDeployment", { params: { tenant, id } })).body;
  }
}

function holdToSchema(operation: Operation, body: unknown): void {
  const { answer }: Route = ROUTES[operation];
  if (typeof answer !== "object") return;
  const schema = Compile(answer as TSchema);
  const errors = schema.Check(body) ? [] : schema.Errors(body);
  assert.deepEqual(errors, [], `${operation} answered what its schema does not allow`);
}

export function triggered(...http: string[]): FunctionConfig {
  return { ...CONFIG, policy: { ...CONFIG.policy, triggers: http.map((one) => ({ http: one })) } };
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export async function* chunks(bytes: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}
