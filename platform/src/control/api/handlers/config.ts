import { PlatformError } from "#contract/errors.ts";
import type { Store } from "#ports/store/index.ts";
import type { Deployments } from "../../deployments/deployments.ts";
import type { Handlers } from "../handler.ts";
import { viewDeployment } from "../views.ts";

export interface ConfigHandlerDeps {
  readonly store: Store;
  readonly deployments: Deployments;
}

export function createConfigHandlers({
  store,
  deployments,
}: ConfigHandlerDeps): Pick<Handlers, "getConfig" | "changeConfig"> {
  return {
    async getConfig({ params: { tenant, app } }) {
      if ((await store.app(tenant, app)) === undefined)
        throw new PlatformError(
          "not-found",
          `There is no app "${app}" of tenant "${tenant}": \`npx colibri list\` shows what is there.`,
        );
      const overrides = await store.overrides(tenant, app);
      return { body: { app: { ...overrides.app }, functions: structuredClone(overrides.functions) } };
    },
    async changeConfig({ params: { tenant, app }, body, headers }) {
      const key = headers["idempotency-key"] as string | undefined;
      const state = await deployments.configure(tenant, app, body, key);
      return { body: viewDeployment(state), headers: { location: `/v1/tenants/${tenant}/deployments/${state.id}` } };
    },
  };
}
