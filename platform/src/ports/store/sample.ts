import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";
import { splitConfig } from "#domain/function/function.ts";
import type { FunctionRelease, Release, ReleaseOutcome, Store } from "./index.ts";

/** Sample functions and deployments: what the suite, the bench and tests of control's parts put into a store. */

export const POLICY: FunctionConfig["policy"] = {
  ...CONFIG.policy,
  limits: { bodyBytes: 100 },
};

/** Not a digest of anything: sixty-four digits that differ with the text. */
export function digest(text: string): Digest {
  return `sha256:${Buffer.from(text).toString("hex").padEnd(64, "0").slice(0, 64)}`;
}

export function content(name: string, version = "v1") {
  return {
    source: digest(`s ${name} ${version}`),
    bundle: { digest: digest(`b ${name} ${version}`), bytes: 1_000 },
    config: { ...splitConfig(CONFIG).revision, environment: { GREETING: "hello" } },
  };
}

export function fresh(name: string, policy = POLICY): FunctionRelease {
  return { kind: "revision", function: name, change: "created", content: content(name), policy };
}

export function updated(name: string, from: string, version = "v2"): FunctionRelease {
  return { kind: "revision", function: name, from, change: "updated", content: content(name, version), policy: POLICY };
}

export interface Where {
  readonly tenant?: string;
  readonly app?: string;
  readonly prune?: boolean;
}

export function request(functions: readonly string[], app = "shop") {
  const entries = functions.map((name) => {
    const { source, config } = content(name);
    return [name, { source, config: { ...config, policy: POLICY } }] as const;
  });
  return { app, functions: Object.fromEntries(entries) };
}

export function create(
  store: Store,
  id: string,
  where: Where & { idempotency?: { key: string; request: string } } = {},
) {
  const { tenant = "acme", app = "shop", idempotency } = where;
  return store.createDeployment(tenant, {
    id,
    app,
    request: request(["thumbnail"], app),
    warnings: [],
    createdAtMs: 1,
    idempotency,
  });
}

export async function queue(store: Store, id: string, functions: readonly string[], where: Where = {}): Promise<void> {
  const { tenant = "acme", app = "shop" } = where;
  await store.createDeployment(tenant, { id, app, request: request(functions, app), warnings: [], createdAtMs: 1 });
}

export function release(id: string, functions: readonly FunctionRelease[], where: Where = {}): Release {
  return { deployment: id, app: where.app ?? "shop", atMs: 100, prune: where.prune ?? false, functions };
}

export async function deploy(
  store: Store,
  id: string,
  functions: readonly FunctionRelease[],
  where: Where = {},
): Promise<ReleaseOutcome> {
  await queue(
    store,
    id,
    functions.map((one) => one.function),
    where,
  );
  const tenant = where.tenant ?? "acme";
  const outcome = await store.release(tenant, release(id, functions, where));
  if (outcome.kind === "released") await store.progress(tenant, id, { atMs: 101, state: "done" });
  return outcome;
}
