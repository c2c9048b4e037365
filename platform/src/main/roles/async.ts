import { createAsyncRole } from "#platform/async/async.ts";
import type { OpenRole } from "./context.ts";

export const open: OpenRole = async ({ network, clock, log, paths, instance }) => {
  const role = createAsyncRole({ network, clock, log }, { address: paths.sockets.async, instance });
  await role.open();
  return { facts: {}, close: () => role.close() };
};
