import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "./lib/checkout.ts";
import { type RunningPlatform, startPlatform } from "./lib/platform.ts";
import type { Row } from "./lib/report.ts";
import { run } from "./lib/tools.ts";

interface Description {
  readonly template: string;
  readonly language: string;
  readonly invoke: { readonly function: string };
}

/**
 * Each template from nothing to an answer, as its user would: `init`, `deploy`, and the first call. Packages come from npm's own
 * cache where they are in it.
 */
export async function benchTemplates(): Promise<Row[]> {
  const examples = join(HERE, "examples");
  const folders = readdirSync(examples).filter((folder) => existsSync(join(examples, folder, "template.json")));
  const work = mkdtempSync(join(tmpdir(), "colibri-bench-templates-"));
  const platform = await startPlatform(HERE);
  try {
    const rows: Row[] = [];
    for (const folder of folders) {
      const described: Description = JSON.parse(readFileSync(join(examples, folder, "template.json"), "utf8"));
      rows.push(await measure(platform, join(work, folder), folder, described));
    }
    return rows;
  } finally {
    await platform.close();
    rmSync(work, { recursive: true, force: true });
  }
}

async function measure(platform: RunningPlatform, into: string, name: string, described: Description): Promise<Row> {
  const { template, language, invoke } = described;
  const made = await timed(() => initialise(into, template, language));
  const deployed = await timed(() => platform.colibri("deploy", into));
  // What it says to a call without input is its own matter: an answer of the function, not of the gateway.
  const answered = await timed(async () => {
    const response = await fetch(`${platform.functionsUrl}/fn/${name}/${invoke.function}`);
    await response.arrayBuffer();
    const code = response.headers.get("colibri-error-code");
    if (code !== null && code !== "function-error") throw new Error(`${name} answered ${response.status} ${code}`);
  });
  const sum = made + deployed + answered;
  return {
    template: name,
    "init s": seconds(made),
    "deploy s": seconds(deployed),
    "answer s": seconds(answered),
    "sum s": seconds(sum),
  };
}

function initialise(into: string, template: string, language: string): Promise<string> {
  const launcher = join(HERE, "bin", "colibri");
  return run(process.execPath, [launcher, "init", into, "--template", template, "--language", language], {
    env: process.env,
  });
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await action();
  return performance.now() - begun;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
