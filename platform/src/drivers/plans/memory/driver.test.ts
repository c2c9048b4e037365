import type { RoutePlan } from "#contract/plan/plan.ts";
import { plansConformance } from "#ports/plans/conformance.ts";
import { createMemoryPlans } from "./driver.ts";

plansConformance("memory", async () => {
  const plans = createMemoryPlans<RoutePlan>({ ready: false });
  return {
    plans,
    put: async (key, plan) => plans.put(key, plan),
    remove: async (key) => plans.remove(key),
    replace: async (all) => plans.replace(all),
    settle: () => new Promise((resolve) => setImmediate(resolve)),
    dispose: async () => {},
  };
});
