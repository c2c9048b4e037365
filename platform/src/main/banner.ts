import { join, relative } from "node:path";
import { CHECKOUT, ownCommand } from "#base/own-command.ts";
import type { HomePaths } from "./home.ts";

export interface Addresses {
  readonly functions: string;
  readonly control: string;
}

/** What is printed when the platform is up: where it answers, how to get in, what to try first. */
export function banner(paths: HomePaths, addresses: Addresses, isolation: string): string {
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
  Isolation   ${isolation}
  State, log  ${path(paths.home)}, ${path(paths.platformLog)}

Try it in another terminal:

  ${command} deploy ${path(join(CHECKOUT, "examples", "hello"))}
  curl ${addresses.functions}/fn/hello/hello -H 'content-type: application/json' -d '{"name":"you"}'

Ctrl-C stops everything.
`;
}
