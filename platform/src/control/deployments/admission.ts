import type { DeploymentRequest, Health, Runtime } from "#contract/api/resources.ts";
import { memoryClassOf, showMemory } from "#contract/config/memory-class.ts";
import { claimKey } from "#contract/config/triggers.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { isName, NAME_RULE } from "#contract/names.ts";
import { networkProblems } from "#contract/network/policy.ts";
import { type ConfigProblem, checkConfig } from "#domain/function/check.ts";
import { splitConfig } from "#domain/function/function.ts";
import { type Overrides, overridden } from "#domain/function/overrides.ts";
import { runtimeProblem } from "#domain/function/runtime.ts";
import { type Claim, claimsOf, httpTriggers } from "#domain/function/triggers.ts";
import type { HeldClaim, Store } from "#ports/store/index.ts";
import type { Uploads } from "../uploads.ts";
import { functionsOf } from "./wanted.ts";

export interface AdmissionDeps {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly runtimes: () => readonly Runtime[] | Promise<readonly Runtime[]>;
  /** What the platform's sandboxes are. */
  readonly sandbox: Health["sandbox"];
}

const MAXIMUM_FUNCTIONS = 500;
const SHOWN_NAMES = 10;

export interface AdmissionOptions {
  readonly sources: "must be there" | "may be absent";
}

/** Judges a request whose shape is right, before it becomes a job. Answers its warnings. @throws PlatformError saying all that is wrong. */
export async function admit(
  deps: AdmissionDeps,
  tenant: string,
  request: DeploymentRequest,
  { sources }: AdmissionOptions = { sources: "must be there" },
): Promise<string[]> {
  const known = await deps.runtimes();
  const overrides = await deps.store.overrides(tenant, request.app);
  refuse("request-invalid", [...checkNames(request), ...checkNetwork(request), ...checkConfigs(request, overrides)]);
  refuse("runtime-unknown", checkRuntimes(request, known));
  if (sources === "must be there") refuse("request-invalid", await checkSources(deps.uploads, tenant, request));
  await checkClaims(deps.store, tenant, request);
  return [
    ...networkWarnings(deps, request),
    ...warningsOf(request),
    ...(await unnamedWarning(deps.store, tenant, request)),
  ];
}

export function refuse(code: "request-invalid" | "runtime-unknown", problems: readonly ConfigProblem[]): void {
  if (problems.length === 0) return;
  const message = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new PlatformError(code, message, { details: { errors: problems } });
}

function checkNames({ functions, prune }: DeploymentRequest): ConfigProblem[] {
  const names = Object.keys(functions);
  if (names.length === 0 && prune !== true)
    return [{ path: "functions", message: "names no function; with `prune` that would remove all of the app" }];
  if (names.length > MAXIMUM_FUNCTIONS)
    return [{ path: "functions", message: `has ${names.length} entries; ${MAXIMUM_FUNCTIONS} is the most` }];
  const wrong = names.filter((name: unknown) => !isName(name));
  return wrong.map((name) => ({
    path: `functions.${name.slice(0, 80)}`,
    message: `is not a function's name: ${NAME_RULE}`,
  }));
}

function checkNetwork({ network }: DeploymentRequest): ConfigProblem[] {
  if (network === undefined) return [];
  return networkProblems(network).map(({ path, message }) => ({ path: `network.${path}`, message }));
}

/** Together with what is set beside it. */
function checkConfigs({ functions }: DeploymentRequest, overrides: Overrides): ConfigProblem[] {
  return Object.entries(functions).flatMap(([name, { config }]) =>
    checkConfig(overridden(config, overrides, name)).map(({ path, message }) => ({
      path: `functions.${name}.config.${path}`,
      message,
    })),
  );
}

function checkRuntimes({ functions }: DeploymentRequest, known: readonly Runtime[]): ConfigProblem[] {
  return Object.entries(functions).flatMap(([name, { config }]) => {
    const message = runtimeProblem(config.runtime, known);
    return message === undefined ? [] : [{ path: `functions.${name}.config.runtime`, message }];
  });
}

async function checkSources(
  uploads: Uploads,
  tenant: string,
  { functions }: DeploymentRequest,
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const [name, { source }] of Object.entries(functions)) {
    if (await uploads.has(tenant, source as Digest)) continue;
    const message = `has not been uploaded: PUT its archive to /v1/tenants/${tenant}/uploads/${source} first`;
    problems.push({ path: `functions.${name}.source`, message });
  }
  return problems;
}

/** Claims may change hands inside the app, so only those of one request and those of other apps are in the way. */
async function checkClaims(store: Store, tenant: string, request: DeploymentRequest): Promise<void> {
  const wanted = new Map<string, { claim: Claim; name: string }>();
  for (const [name, { config }] of Object.entries(request.functions)) {
    for (const claim of claimsOf(splitConfig(config).policy)) {
      const other = wanted.get(claimKey(claim));
      if (other !== undefined) {
        const holder = { app: request.app, function: other.name };
        throw conflict(request, name, { claim, holder });
      }
      wanted.set(claimKey(claim), { claim, name });
    }
  }
  const claims = [...wanted.values()].map(({ claim }) => claim);
  const held = (await store.claimed(tenant, request.app, claims))[0];
  if (held !== undefined) throw conflict(request, wanted.get(claimKey(held.claim))!.name, held);
}

/** Of `name` in the request: it says the trigger as it is written there. */
export function conflict({ functions }: DeploymentRequest, name: string, { claim, holder }: HeldClaim): PlatformError {
  const by = holder === undefined ? "a function of another tenant" : `${holder.app}/${holder.function}`;
  const triggers = httpTriggers(splitConfig(functions[name]!.config).policy);
  const { method, host = "", path } = triggers.find((trigger) => claimKey(trigger) === claimKey(claim)) ?? claim;
  const at = `${method} ${host}${path}`;
  const message = `${name}: the HTTP trigger "${at}" is claimed by ${by}: choose another path or host, or change that function first.`;
  return new PlatformError("conflict", message, { details: { function: name, claim, ...(holder && { holder }) } });
}

/** Hosts refuse it themselves: told here, it is known before the first caller finds out. */
function networkWarnings({ sandbox }: AdmissionDeps, { network }: DeploymentRequest): string[] {
  if (network === undefined || network.kind === "internet" || sandbox.isolation !== "none") return [];
  const why = `network: ${sandbox.technology} sandboxes can't be kept to it, so invocations will be refused`;
  return [
    `${why}; run the platform with container sandboxes (\`npx colibri doctor\` says what they need), or leave network out.`,
  ];
}

/** What the app has and the request does not name. */
async function unnamedWarning(
  store: Store,
  tenant: string,
  { app, functions, prune }: DeploymentRequest,
): Promise<string[]> {
  if (prune === true) return [];
  const names = (await functionsOf(store, tenant, app)).map((state) => `${app}/${state.function}`);
  const kept = names.filter((name) => !Object.hasOwn(functions, name.slice(app.length + 1)));
  if (kept.length === 0) return [];
  const shown =
    kept.slice(0, SHOWN_NAMES).join(", ") + (kept.length > SHOWN_NAMES ? ` and ${kept.length - SHOWN_NAMES} more` : "");
  const one = kept.length === 1;
  return [
    `${shown} ${one ? "is" : "are"} not in colibri.yaml and ${one ? "stays" : "stay"}: --prune removes ${one ? "it" : "them"}.`,
  ];
}

function warningsOf({ functions }: DeploymentRequest): string[] {
  return Object.entries(functions).flatMap(([name, { config }]) => {
    const timers = config.policy.triggers.some((trigger) => "timer" in trigger);
    const { memoryMiB } = config;
    return [
      ...(timers ? [`${name}: timer triggers are kept, but this version does not fire them.`] : []),
      ...(memoryClassOf(memoryMiB) === memoryMiB ? [] : [`${name}: its sandboxes have ${showMemory(memoryMiB)}.`]),
    ];
  });
}
