import type { ConfigChange } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import { type ConfigProblem, checkConfig, checkEnvironment } from "#domain/function/check.ts";
import { changedOverrides, type OverridesChange, overridden } from "#domain/function/overrides.ts";
import type { Store } from "#ports/store/index.ts";
import { refuse } from "./admission.ts";
import { wantedBy } from "./wanted.ts";

/** Judges a change of what is set beside colibri.yaml, for an app or one of its functions. @throws PlatformError saying all that is wrong. */
export async function admitChange(
  store: Store,
  tenant: string,
  app: string,
  { function: name, set = {}, unset = [] }: ConfigChange,
): Promise<OverridesChange> {
  if ((await store.app(tenant, app)) === undefined) throw missing(`app "${app}"`);
  if (name !== undefined && (await store.function(tenant, app, name)) === undefined)
    throw missing(`function "${app}/${name}"`);
  const both = Object.keys(set).filter((key) => unset.includes(key));
  refuse(
    "request-invalid",
    both.map((key) => ({ path: `set.${key}`, message: "is also to be unset: decide for one" })),
  );
  refuse("request-invalid", checkEnvironment(set).map(under("set")));
  const change = { function: name, set, unset };
  refuse("request-invalid", await checkOutcome(store, tenant, app, change));
  return change;
}

/** Together with what colibri.yaml has it must not be too much either. */
async function checkOutcome(
  store: Store,
  tenant: string,
  app: string,
  change: OverridesChange,
): Promise<ConfigProblem[]> {
  const reconfigure = change.function === undefined ? {} : { function: change.function };
  const { request, overrides } = await wantedBy(store, { tenant, app, request: { app, functions: {}, reconfigure } });
  const after = changedOverrides(overrides, change);
  const own = checkEnvironment(after.app).map(under("set"));
  const functions = Object.entries(request.functions).flatMap(([name, { config }]) =>
    checkConfig(overridden(config, after, name)).map(({ path, message }) => ({
      path: `functions.${name}.${path}`,
      message,
    })),
  );
  return [...own, ...functions];
}

/** Problems of an environment as those of a field of the request. */
function under(field: string): (problem: ConfigProblem) => ConfigProblem {
  return ({ path, message }) => ({ path: path.replace(/^environment/, field), message });
}

function missing(what: string): PlatformError {
  return new PlatformError("not-found", `There is no ${what}: \`npx colibri list\` shows what is there.`);
}
