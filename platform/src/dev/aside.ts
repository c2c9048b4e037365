import type { IncomingMessage, ServerResponse } from "node:http";
import type { AppConfig } from "#contract/config/app-config.ts";
import { type Failure, PlatformError, toFailure } from "#contract/errors.ts";
import { functionPath } from "#contract/names.ts";
import { hostProblem, isLoopbackHost } from "./hosts.ts";
import { refOf } from "./revisions.ts";
import { type DevTimer, type Fired, timersOf } from "./timers.ts";

/** Below a prefix that no trigger can claim. */
export const DEV_PATH = "/v1/dev";
const OURS = /^\/v1\/dev(?:$|[/?])/;
const FIRE = /^\/v1\/dev\/fire\/([^/]+)\/([^/]+)$/;

/** Answers with the error. */
export type Refuse = (response: ServerResponse, failure: Failure) => void;

export interface AsideDeps {
  readonly app: () => AppConfig;
  readonly fire: (timer: DevTimer) => Promise<Fired>;
  readonly refuse: Refuse;
}

export interface AsideOptions {
  readonly folder: string;
  /** Hosts that requests may be for, beside names of this machine and what triggers claim. */
  readonly allowedHosts: readonly string[] | "any";
}

/**
 * What is answered beside functions, for the command line in another terminal:
 * requests that are for another host, with a refusal;
 * `GET /v1/dev` what is run; `POST /v1/dev/fire/<app>/<function>[?timer=<n>]` fires a timer.
 */
export function createAside(deps: AsideDeps, options: AsideOptions) {
  return function aside(request: IncomingMessage, response: ServerResponse): boolean {
    const target = request.url ?? "";
    if (!OURS.test(target)) return refuseHost(request, response);
    request.resume();
    answer(request, new URL(target, "http://localhost")).then(
      (value) => response.writeHead(200, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`),
      (error) => deps.refuse(response, toFailure(error)),
    );
    return true;
  };

  /** What asks for another machine may come from a web page, which is told nothing. */
  function refuseHost({ headers: { host } }: IncomingMessage, response: ServerResponse): boolean {
    if (host === undefined || options.allowedHosts === "any") return false;
    const problem = hostProblem(host, deps.app(), options.allowedHosts);
    if (problem !== undefined) deps.refuse(response, { code: "forbidden", message: problem });
    return problem !== undefined;
  }

  async function answer(request: IncomingMessage, url: URL): Promise<unknown> {
    if (!isLoopbackHost(request.headers.host ?? "") || request.headers.origin !== undefined)
      throw new PlatformError("forbidden", "this is for programs of this machine, not for web pages");
    if (url.pathname === DEV_PATH && request.method === "GET") return describe();
    const [, app = "", fn = ""] = FIRE.exec(url.pathname) ?? [];
    if (app === "")
      throw new PlatformError("not-found", `here is GET ${DEV_PATH} and POST ${DEV_PATH}/fire/<app>/<function>`);
    if (request.method !== "POST") throw new PlatformError("method-not-allowed", "timers are fired with POST");
    return deps.fire(timerOf(app, fn, url.searchParams.get("timer")));
  }

  function timerOf(app: string, fn: string, number: string | null): DevTimer {
    const config = deps.app();
    if (app !== config.app || config.functions[fn] === undefined)
      throw new PlatformError("function-not-found", `there is no function ${app}/${fn} here: ${listing(config)}`);
    const timers = timersOf(config).filter((timer) => timer.function === fn);
    if (timers.length === 0)
      throw new PlatformError("request-invalid", `${app}/${fn} has no timer: add one to its triggers in colibri.yaml`);
    const timer = timers[number === null ? 0 : Number(number) - 1];
    if (timer !== undefined) return timer;
    throw new PlatformError("request-invalid", `${app}/${fn} has timers 1 to ${timers.length}, not ${number}`);
  }

  function describe() {
    const config = deps.app();
    const timers = timersOf(config);
    const functions = Object.keys(config.functions).map((name) => ({
      function: name,
      path: functionPath(refOf(config.app, name)),
      timers: timers.filter((timer) => timer.function === name).map(({ schedule }) => schedule),
    }));
    return { app: config.app, folder: options.folder, pid: process.pid, functions };
  }
}

function listing(config: AppConfig): string {
  return `there is ${Object.keys(config.functions)
    .map((name) => `${config.app}/${name}`)
    .join(", ")}`;
}
