import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dependenciesFailed } from "../failure.ts";
import type { Job, ToolOutcome } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";
import { createNpmNoise } from "./explain.ts";

/** The npm of the platform's host, with nothing of the host's or the function's configuration but what it is given. */
export interface Npm {
  /** @throws PlatformError where there is no npm. */
  run(args: readonly string[], options: NpmRun): Promise<ExitedTool>;
}

export interface NpmRun {
  readonly folder: string;
  /** Text of the only .npmrc that counts. */
  readonly npmrc?: string;
  readonly secrets?: readonly string[];
  readonly isQuiet?: boolean;
  /** In place of those that tools have. */
  readonly variables?: Readonly<Record<string, string>>;
}

export type ExitedTool = Extract<ToolOutcome, { kind: "exited" }>;

/** npm's own are 10 s and 60 s between two tries, and five minutes for an answer: somebody waits. pnpm reads them too. */
export const PATIENCE = {
  npm_config_fetch_retries: "2",
  npm_config_fetch_retry_mintimeout: "1000",
  npm_config_fetch_retry_maxtimeout: "5000",
  npm_config_fetch_timeout: "60000",
};
const QUIET = ["--no-audit", "--no-fund", "--no-progress", "--no-update-notifier", "--loglevel=warn"];

export function createNpm(job: Job, environment: ToolEnvironment, command: readonly string[]): Npm {
  const { scratch, cache } = job;
  const npmCache = join(cache, "npm");
  const userConfig = join(scratch, "npmrc");
  const places = [
    `--cache=${npmCache}`,
    `--userconfig=${userConfig}`,
    `--globalconfig=${join(scratch, "npmrc-global")}`,
  ];
  return {
    async run(args, { folder, npmrc = "", secrets = [], isQuiet = false, variables = environment.variables }) {
      await mkdir(npmCache, { recursive: true });
      await writeFile(userConfig, npmrc, { mode: 0o600 });
      try {
        const outcome = await job.run({
          ...{ name: "npm", command, args: [...args, ...QUIET, ...places], folder, isQuiet, isNoise: createNpmNoise() },
          environment: { ...PATIENCE, ...variables, npm_config_logs_max: "0" },
          secrets: [...environment.secrets, ...secrets],
        });
        if (outcome.kind === "exited") return outcome;
        throw dependenciesFailed(
          "npm is not installed on the host of the platform: packages can't be installed until it is.",
        );
      } finally {
        await rm(userConfig, { force: true });
      }
    },
  };
}
