import * as shape from "#contract/shape.ts";
import type {
  App,
  Config,
  Deployment,
  DeploymentEvent,
  DeploymentPreview,
  FunctionResource,
  Health,
  Invocation,
  LogLine,
  Revision,
  Runtime,
} from "#sdk/node/client.ts";

/**
 * What control's answers must have before commands use them: the address may be another server's, or the platform's version another.
 * Fields that are not known here are let through, and so are new words, such as a new outcome.
 */
type Shape<T> = shape.Shape<T>;

const { boolean, object, optional } = shape;
const string = text<string>();
const number = shape.matching("a number", (value): value is never => Number.isFinite(value)) as Shape<number>;
const texts: Shape<Readonly<Record<string, string>>> = mapOf(string);

function text<T extends string>(): Shape<T> {
  return shape.matching("text", (value): value is T => typeof value === "string");
}

/** As many as there are: what is too much is for the connection to say. */
export function listOf<T>(item: Shape<T>): Shape<readonly T[]> {
  return shape.list(item, Number.POSITIVE_INFINITY);
}

function mapOf<T>(value: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return shape.map(value, Number.POSITIVE_INFINITY);
}

/** Absent rather than undefined, as in JSON. */
function exact<T>(checked: { readonly check: Shape<T>["check"] }): Shape<T> {
  return checked as Shape<T>;
}

const bundle = object({ digest: string, bytes: number });
const state = text<Deployment["state"]>();
const change = text<NonNullable<Deployment["functions"][number]["change"]>>();

const NETWORK: Shape<App["network"]> = shape.tagged("kind", {
  none: object({}),
  internet: object({}),
  allow: object({ hosts: listOf(string) }),
});

export const APP: Shape<App> = object({
  ...{ tenant: string, app: string, network: NETWORK, functions: number, createdAt: string, updatedAt: string },
});

export const CONFIG: Shape<Config> = object({ app: texts, functions: mapOf(texts) });

const TRIGGER = exact<FunctionResource["config"]["policy"]["triggers"][number]>(
  object({ http: optional(string), host: optional(string), timer: optional(string) }),
);

const FUNCTION_CONFIG: Shape<FunctionResource["config"]> = object({
  ...{ runtime: string, handler: string, memoryMiB: number, timeoutMs: number, initTimeoutMs: number },
  ...{ concurrency: number, execution: text<"loop">(), environment: texts },
  build: object({ installScripts: listOf(string) }),
  policy: object({
    scaling: object({ min: number, max: number, keepAliveMs: number }),
    queue: object({ length: number, timeoutMs: number }),
    limits: object({ bodyBytes: number }),
    triggers: listOf(TRIGGER),
  }),
});

export const FUNCTION: Shape<FunctionResource> = object({
  ...{ tenant: string, app: string, function: string, url: string, source: string },
  ...{ config: FUNCTION_CONFIG, overridden: listOf(string), createdAt: string, updatedAt: string },
  live: listOf(object({ revision: string, weight: number })),
});

export const REVISION: Shape<Revision> = object({
  ...{ revision: string, bundle, source: string, runtime: string, handler: string, memoryMiB: number },
  ...{ timeoutMs: number, concurrency: number, execution: string, environment: texts, createdAt: string },
  overridden: listOf(string),
});

export const INVOCATION: Shape<Invocation> = object({
  ...{ id: string, function: string, revision: string, outcome: string, status: number, startedAt: string },
  ...{ waitMs: number, coldMs: number, runMs: number, bodyBytes: number, answerBytes: number },
  ...{ sandbox: string, trigger: string },
});

export const DEPLOYMENT: Shape<Deployment> = exact(
  object({
    ...{ id: string, tenant: string, app: string, state, createdAt: string, finishedAt: optional(string) },
    functions: listOf(
      object({
        ...{ function: string, state, change: optional(change), revision: optional(string) },
        ...{ bundle: optional(bundle), url: optional(string), overridden: optional(listOf(string)) },
        error: optional(object({ code: string, message: string })),
      }),
    ),
    warnings: listOf(string),
  }),
);

export const PREVIEW: Shape<DeploymentPreview> = exact(
  object({
    ...{ tenant: string, app: string, warnings: listOf(string) },
    functions: listOf(object({ function: string, change, revision: optional(string) })),
  }),
);

export const EVENT: Shape<DeploymentEvent> = exact(
  object({
    ...{ number, at: string, kind: text<DeploymentEvent["kind"]>(), function: optional(string), text: string },
  }),
);

export const LOG_LINE: Shape<LogLine> = exact(
  object({
    ...{ at: string, function: string, revision: string, sandbox: string, invocation: optional(string) },
    ...{ stream: text<LogLine["stream"]>(), level: text<LogLine["level"]>(), text: string },
  }),
);

export const HEALTH: Shape<Health> = object({
  ...{ version: string, status: text<Health["status"]>(), dropped: mapOf(number) },
  sandbox: object({ technology: string, isolation: string, detail: string }),
  roles: listOf(object({ role: string, instance: string, pid: number, state: text<"up" | "away">(), since: string })),
  storage: listOf(object({ what: string, path: string, problem: string, remedy: string, since: string })),
});

export const RUNTIME: Shape<Runtime> = exact(
  object({ name: string, version: optional(string), available: boolean, detail: string }),
);
