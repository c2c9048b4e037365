import type { DeploymentPreview, DeploymentRequest } from "#contract/api/resources.ts";
import type { Store } from "#ports/store/index.ts";
import { type AdmissionDeps, admit } from "./admission.ts";
import { type Decision, decide } from "./decision.ts";
import { functionsOf, wantedBy } from "./wanted.ts";

/** What the request would change now, without doing it. Its sources need not be there. @throws PlatformError as when it is meant. */
export async function preview(
  deps: AdmissionDeps,
  tenant: string,
  request: DeploymentRequest,
): Promise<DeploymentPreview> {
  const { app } = request;
  const warnings = await admit(deps, tenant, request, { sources: "may be absent" });
  const functions: DeploymentPreview["functions"] = [];
  const wanted = await wantedBy(deps.store, { tenant, app, request });
  for (const name of Object.keys(request.functions))
    functions.push(viewDecision(await decide(deps.store, tenant, wanted, name)));
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
  const names = (await functionsOf(store, tenant, app)).map((state) => state.function);
  return names
    .filter((name) => !Object.hasOwn(functions, name))
    .map((name) => ({ function: name, change: "removed" as const }));
}
