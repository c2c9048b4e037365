import { mkdirSync } from "node:fs";
import { loadSystemCalls, MOUNT } from "#base/system-calls.ts";
import { PIN_FOLDER } from "./network/names.ts";

/** An empty tree of version 2 beside those of version 1. */
const HYBRID_CGROUPS = "/sys/fs/cgroup/unified";
/** Users of sandboxes, who are nobody on the host, must get to what is shown to them: no home, which is its owner's, will do. */
export const SANDBOX_PLACE = "/run/colibri";

/**
 * A mount table of its own for this process and all it starts, before anything is started: what sandboxes need mounted is not
 * seen by the machine, where SANDBOX_PLACE is an empty folder, and is gone with the platform, however that ends.
 */
export async function enterOwnMounts(): Promise<void> {
  const calls = await loadSystemCalls();
  calls.unshareMounts();
  calls.mount({ target: "/", flags: MOUNT.recursive | MOUNT.slave });
  // crun refuses to work beside it, although nothing is controlled there.
  calls.unmount(HYBRID_CGROUPS);
  // What a killed platform had pinned would stay.
  for (const target of [SANDBOX_PLACE, PIN_FOLDER]) {
    mkdirSync(target, { recursive: true, mode: 0o711 });
    calls.mount({ source: "tmpfs", target, type: "tmpfs", flags: MOUNT.noDevices, data: "mode=711" });
  }
}
