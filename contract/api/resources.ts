/** Resources of the control API, as JSON Schema: what validates requests also types the clients and documents the API. */
import Type, { type Static } from "typebox";
import { MIB, type QuantityPath, quantityKey } from "../config/keys.ts";
import { MAXIMUM_HOST_LENGTH, MAXIMUM_HOSTS } from "../network/policy.ts";

const Name = Type.String({
  pattern: "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$",
  description: "Lower-case letters, digits and inner hyphens, 1 to 63 characters.",
});
const Digest = Type.String({ pattern: "^sha256:[0-9a-f]{64}$", description: "`sha256:` and 64 hexadecimal digits." });
const Time = Type.String({ format: "date-time", description: "RFC 3339, UTC, milliseconds." });
const strict = { additionalProperties: false } as const;

/** With the range that colibri.yaml has for it, counted in `unit`. */
function quantity(path: QuantityPath, unit = 1) {
  const { minimum, maximum } = quantityKey(path);
  return Type.Integer({ minimum: minimum / unit, maximum: maximum / unit });
}

const Overridden = Type.Array(Type.String(), {
  description: "Variables whose values are not those of colibri.yaml but set by `config`, which alone shows them.",
});

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: "docs/errors.md#<code>" }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: "From the catalogue of errors." }),
    detail: Type.String({ description: "What was wrong, where, and what would be right." }),
    errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }))),
    requestId: Type.Optional(Type.String()),
  },
  { $id: "Problem", description: "RFC 9457 problem details." },
);
export type Problem = Static<typeof ProblemSchema>;

/** What an app's sandboxes may reach: `network` in colibri.yaml. */
export const NetworkPolicySchema = Type.Union(
  [
    Type.Object({ kind: Type.Literal("none") }, strict),
    Type.Object({ kind: Type.Literal("internet") }, strict),
    Type.Object(
      {
        kind: Type.Literal("allow"),
        hosts: Type.Array(
          Type.String({
            maxLength: MAXIMUM_HOST_LENGTH,
            description: "A name, `*.name`, an IPv4 address or an IPv4 range; `:port` may follow.",
          }),
          { minItems: 1, maxItems: MAXIMUM_HOSTS },
        ),
      },
      strict,
    ),
  ],
  { $id: "NetworkPolicy" },
);

const TriggerSchema = Type.Union([
  Type.Object(
    {
      http: Type.String({
        description: "`METHOD /path`, `* /path` or `/path`; `{name}` takes one segment, `{name*}` the rest.",
      }),
      host: Type.Optional(Type.String()),
    },
    strict,
  ),
  Type.Object({ timer: Type.String({ description: "Five cron fields. Kept, not fired by this version." }) }, strict),
]);

/** A function's entry in colibri.yaml, sizes and durations already numbers. */
export const FunctionConfigSchema = Type.Object(
  {
    runtime: Type.String({ description: "Such as nodejs, nodejs24 or python." }),
    handler: Type.String({ description: "`file` or `file#export`." }),
    memoryMiB: quantity("functions.*.memory", MIB),
    timeoutMs: quantity("functions.*.timeout"),
    initTimeoutMs: quantity("functions.*.initTimeout"),
    concurrency: quantity("functions.*.concurrency"),
    execution: Type.Union([Type.Literal("loop"), Type.Literal("threads"), Type.Literal("process")]),
    environment: Type.Record(Type.String(), Type.String()),
    build: Type.Object(
      { installScripts: Type.Array(Type.String(), { description: "Packages whose install scripts may run." }) },
      strict,
    ),
    policy: Type.Object(
      {
        scaling: Type.Object(
          {
            min: quantity("functions.*.scaling.min"),
            max: quantity("functions.*.scaling.max"),
            keepAliveMs: quantity("functions.*.scaling.keepAlive"),
            /** Absent: never. */
            freezeAfterMs: Type.Optional(quantity("functions.*.scaling.freezeAfter")),
          },
          strict,
        ),
        queue: Type.Object(
          { length: quantity("functions.*.queue.length"), timeoutMs: quantity("functions.*.queue.timeout") },
          strict,
        ),
        limits: Type.Object({ bodyBytes: quantity("functions.*.limits.body") }, strict),
        triggers: Type.Array(TriggerSchema, { maxItems: 100 }),
      },
      strict,
    ),
  },
  { ...strict, $id: "FunctionConfig" },
);
export type FunctionConfig = Static<typeof FunctionConfigSchema>;

export const DeploymentRequestSchema = Type.Object(
  {
    app: Name,
    prune: Type.Optional(Type.Boolean({ description: "Remove the app's functions that are not named here." })),
    network: Type.Optional(NetworkPolicySchema),
    functions: Type.Record(Name, Type.Object({ config: FunctionConfigSchema, source: Digest }, strict)),
  },
  { ...strict, $id: "DeploymentRequest" },
);
export type DeploymentRequest = Static<typeof DeploymentRequestSchema>;

const DEPLOYMENT_STATES = ["queued", "building", "releasing", "done", "failed"] as const;
const DeploymentStateSchema = Type.Enum(DEPLOYMENT_STATES);

/** unchanged: neither code nor configuration differs; configured: a new revision of the same bundle. */
const ChangeSchema = Type.Enum(["created", "updated", "configured", "policy", "unchanged", "removed"] as const);

const DeploymentFunctionSchema = Type.Object({
  function: Name,
  state: DeploymentStateSchema,
  change: Type.Optional(ChangeSchema),
  revision: Type.Optional(Type.String()),
  bundle: Type.Optional(Type.Object({ digest: Digest, bytes: Type.Integer() })),
  url: Type.Optional(Type.String({ description: "Path on the functions' address." })),
  overridden: Type.Optional(Overridden),
  error: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
});

export type DeploymentFunction = Static<typeof DeploymentFunctionSchema>;

export const DeploymentSchema = Type.Object(
  {
    id: Type.String(),
    tenant: Name,
    app: Name,
    state: DeploymentStateSchema,
    createdAt: Time,
    finishedAt: Type.Optional(Time),
    functions: Type.Array(DeploymentFunctionSchema),
    warnings: Type.Array(Type.String()),
  },
  { $id: "Deployment" },
);
export type Deployment = Static<typeof DeploymentSchema>;

export const DeploymentPreviewSchema = Type.Object(
  {
    tenant: Name,
    app: Name,
    functions: Type.Array(
      Type.Object({
        function: Name,
        change: ChangeSchema,
        revision: Type.Optional(Type.String({ description: "The one that is live now." })),
      }),
    ),
    warnings: Type.Array(Type.String()),
  },
  { $id: "DeploymentPreview" },
);
export type DeploymentPreview = Static<typeof DeploymentPreviewSchema>;

/**
 * One line of a deployment's progress, as NDJSON. Numbers grow, without gaps from 1 on. `state`: `text` is the deployment's new
 * state. `step`: something begins; `output`: what a tool printed, bounded. The last line has kind `end`, and `text` is `done`, or
 * `failed: ` and why.
 */
export const DeploymentEventSchema = Type.Object(
  {
    number: Type.Integer(),
    at: Time,
    kind: Type.Union([Type.Literal("state"), Type.Literal("step"), Type.Literal("output"), Type.Literal("end")]),
    function: Type.Optional(Name),
    text: Type.String(),
  },
  { $id: "DeploymentEvent" },
);
export type DeploymentEvent = Static<typeof DeploymentEventSchema>;

export const AppSchema = Type.Object(
  {
    tenant: Name,
    app: Name,
    network: NetworkPolicySchema,
    functions: Type.Integer(),
    createdAt: Time,
    updatedAt: Time,
  },
  { $id: "App" },
);
export type App = Static<typeof AppSchema>;

export const FunctionSchema = Type.Object(
  {
    tenant: Name,
    app: Name,
    function: Name,
    url: Type.String(),
    live: Type.Array(Type.Object({ revision: Type.String(), weight: Type.Integer() })),
    /** Digest of the source that the newest revision was built from. */
    source: Digest,
    /** As colibri.yaml has it. */
    config: FunctionConfigSchema,
    overridden: Overridden,
    createdAt: Time,
    updatedAt: Time,
  },
  { $id: "Function" },
);
export type FunctionResource = Static<typeof FunctionSchema>;

export const RevisionSchema = Type.Object(
  {
    revision: Type.String(),
    bundle: Type.Object({ digest: Digest, bytes: Type.Integer() }),
    source: Digest,
    runtime: Type.String(),
    handler: Type.String(),
    memoryMiB: Type.Integer(),
    timeoutMs: Type.Integer(),
    concurrency: Type.Integer(),
    execution: Type.String(),
    /** As colibri.yaml had it. */
    environment: Type.Record(Type.String(), Type.String()),
    overridden: Overridden,
    createdAt: Time,
  },
  { $id: "Revision" },
);
export type Revision = Static<typeof RevisionSchema>;

/** What was set beside colibri.yaml. It stays across deployments. */
export const ConfigSchema = Type.Object(
  {
    app: Type.Record(Type.String(), Type.String(), { description: "For all functions of the app." }),
    functions: Type.Record(Name, Type.Record(Type.String(), Type.String()), {
      description: "For one function; counts before what the app has.",
    }),
  },
  { $id: "Config" },
);
export type Config = Static<typeof ConfigSchema>;

export const ConfigChangeSchema = Type.Object(
  {
    function: Type.Optional(Name),
    set: Type.Optional(Type.Record(Type.String(), Type.String())),
    unset: Type.Optional(Type.Array(Type.String(), { maxItems: 1_000 })),
  },
  { ...strict, $id: "ConfigChange" },
);
export type ConfigChange = Static<typeof ConfigChangeSchema>;

export const RuntimeSchema = Type.Object(
  { name: Type.String(), version: Type.Optional(Type.String()), available: Type.Boolean(), detail: Type.String() },
  { $id: "Runtime" },
);
export type Runtime = Static<typeof RuntimeSchema>;

export const HealthSchema = Type.Object(
  {
    version: Type.String(),
    status: Type.Union([Type.Literal("ok"), Type.Literal("degraded")]),
    sandbox: Type.Object({
      technology: Type.String(),
      isolation: Type.String(),
      /** By what, such as `crun 1.8.1, cgroups hybrid`; empty for processes. */
      detail: Type.String(),
    }),
    roles: Type.Array(
      Type.Object({
        role: Type.String(),
        instance: Type.String(),
        pid: Type.Integer(),
        state: Type.Union([Type.Literal("up"), Type.Literal("away")]),
        since: Time,
      }),
    ),
    /** Items that could not be kept, by role instance. */
    dropped: Type.Record(Type.String(), Type.Integer()),
    storage: Type.Array(
      Type.Object({
        what: Type.String({ description: "Such as `function logs`." }),
        path: Type.String(),
        problem: Type.String(),
        remedy: Type.String({ description: "What to do." }),
        since: Time,
      }),
      { description: "Places on disk that can't be written now. Empty when all can." },
    ),
  },
  { $id: "Health" },
);
export type Health = Static<typeof HealthSchema>;

/** One line of a function's log, as NDJSON. */
export const LogLineSchema = Type.Object(
  {
    at: Time,
    function: Name,
    revision: Type.String(),
    sandbox: Type.String(),
    invocation: Type.Optional(Type.String()),
    stream: Type.Union([Type.Literal("stdout"), Type.Literal("stderr"), Type.Literal("platform")]),
    level: Type.Union([Type.Literal("debug"), Type.Literal("info"), Type.Literal("warn"), Type.Literal("error")]),
    text: Type.String(),
  },
  { $id: "LogLine" },
);
export type LogLine = Static<typeof LogLineSchema>;

export const InvocationSchema = Type.Object(
  {
    id: Type.String(),
    function: Name,
    revision: Type.String(),
    outcome: Type.String({ description: "`ok` or an error code." }),
    status: Type.Integer(),
    startedAt: Time,
    waitMs: Type.Number(),
    coldMs: Type.Number(),
    runMs: Type.Number(),
    bodyBytes: Type.Integer(),
    answerBytes: Type.Integer(),
    sandbox: Type.String(),
    trigger: Type.String(),
  },
  { $id: "Invocation" },
);
export type InvocationRecord = Static<typeof InvocationSchema>;

export { Digest as DigestSchema, Name as NameSchema };
