import type { DeploymentPreview, DeploymentRequest } from "#contract/api/resources.ts";
import type { Store } from "#ports/store/index.ts";
import { type AdmissionDeps, admit } from "./admission.ts";
import { type Decision, decide } from "./decision.ts";

const FUNCTIONS_AT_ONCE = 1_000;

/** What the request would change now, without doing it. Its sources need not be there. @throws PlatformError as when it is meant. */
export async function preview(
  deps: AdmissionDeps,
  tenant: string,
  request: DeploymentRequest,
): Promise<DeploymentPreview> {
  const { app } = request;
  const warnings = await admit(deps, tenant, request, { sources: "may be absent" });
  const functions: DeploymentPreview["functions"] = [];
  for (const name of Object.keys(request.functions))
    functions.push(viewDecision(await decide(deps.store, { tenant, app, request }, name)));
  const removed = request.prune === true ? await unnamed(deps.store, tenant, request) : [];
  return { tenant, app, functions: [...functions, ...removed], warnings };
}

function viewDecision({ name, change, current }: Decision): DeploymentPreview["functions"][number] {
  const shown = change === "build" ? (current === undefined ? "created" : "updated") : change;
  return { function: name, change: shown, ...(current && { revision: current.revision }) };
}

async function unnamed(
  store: Store,
  tenant: string,
  { app, functions }: DeploymentRequest,
): Promise<DeploymentPreview["functions"]> {
  const names: string[] = [];
  for (let after: string | undefined; ; after = names.at(-1)) {
    const states = await store.functions(tenant, app, { after, limit: FUNCTIONS_AT_ONCE });
    names.push(...states.map((state) => state.function));
    if (states.length < FUNCTIONS_AT_ONCE) break;
  }
  return names
    .filter((name) => !Object.hasOwn(functions, name))
    .map((name) => ({ function: name, change: "removed" as const }));
}
