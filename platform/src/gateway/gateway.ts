import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { type Clock, sleep, type Timer } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { Log } from "#base/log.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { RoutePlan } from "#contract/plan/plan.ts";
import type { RoutePlans } from "#ports/plans/plans.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import type { AsyncClient } from "./async-client.ts";
import type { Dispatch } from "./dispatch.ts";
import { Edge } from "./edge.ts";
import { createInvoke, type InvokeDeps } from "./invoke.ts";
import type { Meters } from "./meters.ts";
import { Routes } from "./routes.ts";
import { createEdgeServer, listen, SERVER_LIMITS, type ServerLimits } from "./server.ts";
import type { Settle } from "./settle.ts";

export interface GatewayDeps {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly plans: RoutePlans;
  readonly telemetry: Telemetry;
  readonly async: AsyncClient;
  readonly settle: Settle;
  readonly meters: Meters;
  /** Sees every request before the edge does; true: it answers this one itself. For local work; without it, it costs nothing. */
  readonly aside?: (request: IncomingMessage, response: ServerResponse) => boolean;
  readonly follow?: NonNullable<InvokeDeps["follow"]>;
  readonly dispatch: Dispatch & {
    open(): void;
    close(): Promise<void>;
    setPlan(plan: RoutePlan): void;
    removePlan(ref: FunctionRef): void;
  };
}

export interface GatewayOptions {
  readonly bind: string;
  readonly port: number;
  readonly limits?: ServerLimits;
  readonly maximumInFlight?: number;
}

const MAXIMUM_IN_FLIGHT = 10_000;
const MAXIMUM_TARGET_BYTES = 8 * 1024;
const METERS_MS = 1_000;
/** How long the front door stays shut while plans are being read. */
const PLAN_MS = 2_000;
/** How long invocations under way may take to finish when the gateway is told to stop. */
const CLOSE_MS = 5_000;

/** The gateway: the front door, and dispatch of the functions it owns. Construct, `open`, `close` (which works twice). */
export class Gateway {
  readonly #deps: GatewayDeps;
  readonly #options: GatewayOptions;
  readonly #routes = new Routes();
  readonly #known = new Map<string, RoutePlan>();
  readonly #server: Server;
  #timer: Timer | undefined;

  constructor(deps: GatewayDeps, options: GatewayOptions) {
    this.#deps = deps;
    this.#options = options;
    const load = {
      get inFlight() {
        return deps.settle.inFlight;
      },
      get ready() {
        return deps.plans.ready;
      },
    };
    const limits = options.limits ?? SERVER_LIMITS;
    const edge = new Edge(
      { ...deps, routes: this.#routes, load },
      { maximumInFlight: options.maximumInFlight ?? MAXIMUM_IN_FLIGHT, maximumTargetBytes: MAXIMUM_TARGET_BYTES },
    );
    const invoke = createInvoke(edge, deps.settle, deps);
    const { aside } = deps;
    const handler: typeof invoke = (request, response, continues) => {
      if (!aside!(request, response)) invoke(request, response, continues);
    };
    this.#server = createEdgeServer(aside === undefined ? invoke : handler, limits);
  }

  /** Resolves with the port. @throws PlatformError when the address can't be had. */
  async open(signal: AbortSignal): Promise<number> {
    const { clock, plans, telemetry, dispatch } = this.#deps;
    plans.onChange((key, plan) => this.#change(key, plan));
    // With the copy on disk read, nobody is told that there is no plan; without one, callers are told so until control is there.
    const planned = plans.open(signal);
    await Promise.race([planned, sleep(clock, PLAN_MS)]);
    const port = await listen(this.#server, this.#options.bind, this.#options.port);
    await telemetry.open(signal);
    await planned;
    for (const [key, plan] of plans.entries()) this.#change(key, plan);
    this.#deps.async.open();
    dispatch.open();
    this.#meterLater();
    return port;
  }

  /** Where it listens; undefined before. It answers before `open` resolves: that it is not ready. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : undefined;
  }

  async close(): Promise<void> {
    const { clock, settle, telemetry, plans, dispatch } = this.#deps;
    if (this.#timer !== undefined) clock.cancel(this.#timer);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const deadline = clock.after(CLOSE_MS, () => this.#server.closeAllConnections());
    await closed;
    clock.cancel(deadline);
    await dispatch.close();
    await this.#deps.async.close();
    settle.flush();
    await telemetry.close();
    await plans.close();
  }

  #change(key: string, plan: RoutePlan | undefined): void {
    const before = this.#known.get(key);
    if (plan === before) return;
    if (plan !== undefined) {
      this.#known.set(key, plan);
      this.#routes.set(plan);
      this.#deps.dispatch.setPlan(plan);
    } else if (before !== undefined) {
      this.#known.delete(key);
      this.#routes.remove(before);
      this.#deps.dispatch.removePlan(before);
      this.#deps.meters.forget(before);
    }
  }

  #meterLater(): void {
    this.#timer = this.#deps.clock.after(METERS_MS, () => {
      this.#deps.telemetry.add({ kind: "meters", text: this.#deps.meters.render() });
      this.#meterLater();
    });
  }
}
