/** How whoever uses the command line types its name. In texts it is always `npx colibri`; where it is printed, this says what fits. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const CHECKOUT = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
const IN_CHECKOUT = "npx colibri";
const ELSEWHERE = "colibri";

export interface Where {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** In the checkout, and for whom npx has just found it, `npx colibri`. Elsewhere npx would ask its registry for a foreign package. */
export function ownCommand({ cwd, env }: Where): string {
  return env.npm_command === "exec" || packageAround(cwd) === CHECKOUT ? IN_CHECKOUT : ELSEWHERE;
}

export function asTyped(text: string, where: Where): string {
  return text.replaceAll(IN_CHECKOUT, ownCommand(where));
}

/** The folder that npx takes for the project's, as npm finds it. */
function packageAround(cwd: string): string | undefined {
  for (let folder = cwd, last = ""; folder !== last; last = folder, folder = dirname(folder))
    if (["package.json", "node_modules"].some((name) => existsSync(join(folder, name)))) return folder;
  return undefined;
}
