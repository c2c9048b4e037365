import { createSpawner } from "#platform/spawner/spawner.ts";
import type { OpenRole } from "./context.ts";

export const open: OpenRole = async ({ network, clock, log, paths, signal }) => {
  const spawner = createSpawner({ network, clock, log }, { address: paths.sockets.spawner });
  await spawner.open(signal);
  return { facts: {}, close: () => spawner.close() };
};
