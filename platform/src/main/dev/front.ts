import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import { createMetrics } from "#base/metrics.ts";
import type { Random } from "#base/random.ts";
import type { AppConfig } from "#contract/config/app-config.ts";
import { ERRORS } from "#contract/errors.ts";
import { createAsyncRole } from "#platform/async/async.ts";
import {
  createAside,
  createTimers,
  type DevTimer,
  type Fired,
  followRequest,
  type Refuse,
  type Tell,
} from "#platform/dev/index.ts";
import { Dispatcher, type StartEvents } from "#platform/dispatch/dispatcher.ts";
import { AsyncClient } from "#platform/gateway/async-client.ts";
import { Gateway } from "#platform/gateway/gateway.ts";
import { Meters } from "#platform/gateway/meters.ts";
import { problemHeaders, problemText } from "#platform/gateway/problem.ts";
import { Settle } from "#platform/gateway/settle.ts";
import type { RoutePlans } from "#ports/plans/plans.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import type { HomePaths } from "../home.ts";

/** What every part is given. */
export interface DevBase {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly ids: Ids;
  readonly log: Log;
}

export interface FrontDeps {
  readonly routes: RoutePlans;
  readonly telemetry: Telemetry;
  readonly tell: Tell;
  readonly starts: StartEvents;
  readonly app: () => AppConfig;
}

export interface FrontOptions {
  readonly paths: HomePaths;
  readonly port: number;
  readonly folder: string;
  readonly readyMs: number | undefined;
  /** Beside names of this machine and what triggers claim. */
  readonly allowedHosts: readonly string[] | "any";
}

export interface Front {
  /** Resolves with the port. */
  open(signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
  fire(timer: DevTimer): Promise<Fired>;
}

/** Only this machine: what runs here is not meant for others yet. */
export const LOOPBACK = "127.0.0.1";
const INSTANCE = "dev";
const CONCURRENT_STARTS = 4;

/** The gateway of a platform, its dispatch, and the place of async. */
export function createFront(base: DevBase, deps: FrontDeps, options: FrontOptions): Front {
  const { paths, port, folder, readyMs, allowedHosts } = options;
  const { clock, ids } = base;
  const { telemetry, tell } = deps;
  const metrics = createMetrics();
  const meters = new Meters({
    ...{ metrics, telemetry },
    inFlight: () => settle.inFlight,
    revisions: () => dispatch.revisions(),
  });
  const settle = new Settle({ clock, telemetry, meters });
  const dispatch = new Dispatcher(
    { ...base, starts: deps.starts, settle: (invocation) => settle.settle(invocation) },
    {
      ...{ owner: INSTANCE, epoch: 1, agentAddress: paths.sockets.agent, concurrentStarts: CONCURRENT_STARTS },
      ...(readyMs !== undefined && { readyMs }),
    },
  );
  const asyncRole = createAsyncRole(base, { address: paths.sockets.async, instance: INSTANCE });
  const async = new AsyncClient(base, { address: paths.sockets.async, instance: INSTANCE });
  const fire = createTimers({ clock, ids, dispatch, settle, tell, app: () => deps.app().app });
  const refuse: Refuse = (response, { code, message }) => {
    const body = problemText(code, message);
    response.writeHead(ERRORS[code].status, problemHeaders(code, message, body)).end(body);
  };
  const aside = createAside({ app: deps.app, fire, refuse }, { folder, allowedHosts });
  const gateway = new Gateway(
    {
      ...{ ...base, plans: deps.routes, telemetry, async, settle, meters, dispatch, aside },
      follow: (request, response, followed) =>
        followRequest(request, response, followed, clock, (told) => tell({ kind: "request", ...told })),
    },
    { bind: LOOPBACK, port },
  );
  return {
    async open(signal) {
      await asyncRole.open();
      return gateway.open(signal);
    },
    async close() {
      await gateway.close();
      await asyncRole.close();
    },
    fire,
  };
}
