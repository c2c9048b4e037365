import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Health, Runtime } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import type { Store } from "#ports/store/index.ts";
import type { Tokens } from "./access.ts";
import type { Handlers } from "./api/handler.ts";
import { createConfigHandlers } from "./api/handlers/config.ts";
import { createDeploymentHandlers } from "./api/handlers/deployments.ts";
import { createFunctionHandlers } from "./api/handlers/functions.ts";
import { createObservationHandlers } from "./api/handlers/observations.ts";
import { createPlatformHandlers } from "./api/handlers/platform.ts";
import { createServer } from "./api/server.ts";
import type { Builder } from "./deployments/builder.ts";
import { Deployments } from "./deployments/deployments.ts";
import { forgetHistory, type LogReader, type RecordReader } from "./history.ts";
import { Notices } from "./notices.ts";
import { type PlanFeed, StorePlanFeed } from "./plan-feed.ts";
import type { Settlement } from "./plan-server.ts";
import { Uploads } from "./uploads.ts";

const MIB = 1024 * 1024;

export interface ControlDeps {
  /** Both constructed, not yet opened; control opens and closes them. */
  readonly store: Store;
  readonly blobs: Blobs;
  readonly builder: Builder;
  /** Waits, within a bound, until gateways have plans up to this number in effect. */
  readonly settled: (number: number, signal: AbortSignal) => Promise<Settlement>;
  readonly logs: LogReader;
  readonly records: RecordReader;
  readonly tokens: Tokens;
  readonly runtimes: () => readonly Runtime[] | Promise<readonly Runtime[]>;
  readonly roles: () => Health["roles"];
  /** Items that could not be kept, by role instance. */
  readonly dropped: () => Health["dropped"];
  /** Places on disk that can't be written now. */
  readonly storage: () => Promise<Health["storage"]>;
  /** Prometheus text of every role. */
  readonly metrics: () => string | Promise<string>;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly log: Log;
}

export interface ControlOptions {
  readonly bind: string;
  /** 0: any free one. */
  readonly port: number;
  readonly version: string;
  readonly sandbox: Health["sandbox"];
  /** Deployments carried out at once. Default 2. */
  readonly parallelDeployments?: number;
  /** Holds what has arrived of unfinished uploads. */
  readonly uploadsFolder: string;
  /** Of one source archive. Default 512 MiB. */
  readonly uploadBytes?: number;
  /** Of a JSON body. Default 8 MiB. */
  readonly bodyBytes?: number;
}

export interface Control {
  /** Answers the port. @throws PlatformError when it is taken. */
  open(signal: AbortSignal): Promise<number>;
  /** Works twice and after a failed open. What is being deployed goes on after the next start. */
  close(): Promise<void>;
  /** For the plan server; readable once control is open. */
  readonly feed: PlanFeed;
}

export function createControl(deps: ControlDeps, options: ControlOptions): Control {
  return new ControlService(deps, options);
}

/**
 * Control: the API, and the deployments that go through it.
 * Owns the listener, the deployments under way and the sweep of blobs. Uses the store and the blobs as their one writer.
 * Order of opening: what is stored, then who answers for it; closing is the reverse.
 */
class ControlService implements Control {
  readonly feed: StorePlanFeed;
  readonly #deps: ControlDeps;
  readonly #options: ControlOptions;
  readonly #closing = new AbortController();
  readonly #uploads: Uploads;
  readonly #deployments: Deployments;
  readonly #server: FastifyInstance;
  #closed: Promise<void> | undefined;

  constructor(deps: ControlDeps, options: ControlOptions) {
    this.#deps = deps;
    this.#options = options;
    this.feed = new StorePlanFeed(deps.store);
    this.#uploads = new Uploads(deps, {
      maximumBytes: options.uploadBytes ?? 512 * MIB,
      folder: options.uploadsFolder,
    });
    const { sandbox } = options;
    const own = { uploads: this.#uploads, notices: new Notices(), onReleased: this.#changed, sandbox };
    this.#deployments = new Deployments({ ...deps, ...own }, { parallel: options.parallelDeployments ?? 2 });
    this.#server = this.#createServer();
  }

  async open(signal: AbortSignal): Promise<number> {
    const { store, blobs } = this.#deps;
    await store.open(signal);
    await blobs.open(signal);
    await this.feed.open();
    const port = await this.#listen();
    await this.#deployments.open();
    this.#uploads.open();
    return port;
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    this.#closing.abort();
    await this.#server.close();
    await this.#deployments.close();
    await this.#uploads.close();
    await this.#deps.blobs.close();
    await this.#deps.store.close();
  }

  /** After whatever changed functions; `removed` are those that are no more. */
  readonly #changed = async (removed: readonly FunctionRef[], signal: AbortSignal): Promise<Settlement> => {
    await this.feed.refresh();
    // History goes at once: were it to wait, a new function of the same name might lose what it just began.
    const forgotten = forgetHistory(this.#deps, removed);
    const settlement = await this.#deps.settled(this.feed.number(), signal);
    await forgotten;
    return settlement;
  };

  readonly #deleted = async (removed: readonly FunctionRef[]): Promise<void> => {
    const settlement = await this.#changed(removed, this.#closing.signal);
    if (settlement.kind === "settled") return;
    const waitingFor = settlement.waitingFor.map(({ instance }) => instance);
    this.#deps.log.warn("deleted, but not confirmed by every gateway", { waitingFor });
  };

  #createServer(): FastifyInstance {
    const { clock, tokens, ids, log } = this.#deps;
    const { bind, bodyBytes = 8 * MIB } = this.#options;
    const deps = { clock, tokens, ids, log, handlers: this.#createHandlers(), closing: this.#closing.signal };
    return createServer(deps, { bind, bodyBytes });
  }

  #createHandlers(): Handlers {
    const own = { uploads: this.#uploads, deployments: this.#deployments };
    return {
      ...createPlatformHandlers(this.#deps, this.#options),
      ...createDeploymentHandlers({ ...this.#deps, ...own }),
      ...createConfigHandlers({ ...this.#deps, ...own }),
      ...createFunctionHandlers({ ...this.#deps, onDeleted: this.#deleted }),
      ...createObservationHandlers(this.#deps),
    };
  }

  async #listen(): Promise<number> {
    const { bind, port } = this.#options;
    try {
      await this.#server.listen({ host: bind, port });
    } catch (error) {
      throw new PlatformError("unavailable", listenProblem(bind, port, error), { cause: error });
    }
    return (this.#server.server.address() as AddressInfo).port;
  }
}

function listenProblem(bind: string, port: number, error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  const at = `port ${port} on ${bind}`;
  if (code === "EADDRINUSE")
    return `control's ${at} is taken: stop what listens there, or choose another with COLIBRI_CONTROL_PORT`;
  if (code === "EACCES") return `control's ${at} is not for this user: choose one above 1023 with COLIBRI_CONTROL_PORT`;
  if (code === "EADDRNOTAVAIL")
    return `control's ${at} can't be had: ${bind} is no address of this machine, see COLIBRI_BIND`;
  return `control can't listen at ${at}: ${error instanceof Error ? error.message : String(error)}`;
}
