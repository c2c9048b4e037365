import { join, relative } from "node:path";
import { CHECKOUT, ownCommand } from "#base/own-command.ts";
import type { HomePaths } from "./home.ts";
import { describeIsolation, type SandboxChosen } from "./sandbox-choice.ts";

export interface Addresses {
  readonly functions: string;
  readonly control: string;
}

/** What is printed when the platform is up: where it answers, how to get in, what to try first. `chosen`: where sandboxes are here. */
export function banner(
  paths: HomePaths,
  addresses: Addresses,
  chosen: SandboxChosen | undefined,
  settings: string,
): string {
  const path = (absolute: string) => {
    const short = relative(process.cwd(), absolute);
    return short.startsWith("..") ? absolute : short;
  };
  const command = ownCommand({ cwd: process.cwd(), env: process.env });
  return `
Colibri is ready.

  Functions   ${addresses.functions}
  Control     ${addresses.control}/v1   (OpenAPI: ${addresses.control}/v1/openapi.json)
  Token       ${path(paths.token)}   (the command line finds it by itself)
  Isolation   ${isolationLines(chosen)}
${settings === "" ? "" : `  Settings    ${settings}\n`}  State, log  ${path(paths.home)}, ${path(paths.platformLog)}

Try it in another terminal:

  ${command} deploy ${path(join(CHECKOUT, "examples", "hello"))}
  curl ${addresses.functions}/fn/hello/hello -H 'content-type: application/json' -d '{"name":"you"}'

Ctrl-C stops everything.
`;
}

function isolationLines(chosen: SandboxChosen | undefined): string {
  if (chosen === undefined) return "elsewhere";
  const advice = chosen.advice === undefined ? "" : `\n              ${chosen.advice}`;
  return `${describeIsolation(chosen)}${advice}`;
}
