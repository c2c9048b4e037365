import { spawn } from "node:child_process";
import type { Surroundings } from "../surroundings.ts";

type Env = Surroundings["env"];

/** Programs that open an address with whatever the user has chosen for it, best first. */
function openers(env: Env): string[] {
  const own = (env.BROWSER ?? "").split(":").filter((name) => name !== "" && !name.includes("%"));
  if (process.platform === "darwin") return [...own, "open"];
  if (env.WSL_DISTRO_NAME) return [...own, "wslview", "xdg-open"];
  // Without a display xdg-open would start a browser in the terminal.
  return env.DISPLAY || env.WAYLAND_DISPLAY ? [...own, "xdg-open"] : own;
}

/** Whether one of them took it. */
export async function openInBrowser(env: Env, url: string): Promise<boolean> {
  for (const opener of openers(env)) if (await start(opener, url, env)) return true;
  return false;
}

/** Not waited for: a browser may run until it is closed. */
function start(program: string, url: string, env: Env): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program, [url], { stdio: "ignore", detached: true, env });
    child.once("spawn", () => resolve(true)).once("error", () => resolve(false));
    child.unref();
  });
}
