import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "./lib/checkout.ts";
import { type RunningPlatform, startPlatform } from "./lib/platform.ts";
import type { Row } from "./lib/report.ts";

interface Description {
  readonly template: string;
  readonly language: string;
}

/**
 * Each template from nothing to an answer, as its user would: `init`, `test`, `deploy`, and the call that `init` proposes. Packages
 * come from npm's own cache where they are in it.
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
      rows.push(await measure(platform, work, folder, described));
    }
    return rows;
  } finally {
    await platform.close();
    rmSync(work, { recursive: true, force: true });
  }
}

async function measure(platform: RunningPlatform, work: string, name: string, described: Description): Promise<Row> {
  const { template, language } = described;
  const type = (command: string) => platform.type(command, work);
  const made = await timed(() => type(`colibri init ${name} --template ${template} --language ${language}`));
  const next = made.said.split("\n").filter((line) => line.startsWith("  colibri "));
  const [test, deploy, invoke] = ["test", "deploy", "invoke"].map((command) => {
    const found = next.find((line) => line.startsWith(`  colibri ${command} `));
    if (found === undefined) throw new Error(`init of ${name} does not say how to ${command} it:\n${made.said}`);
    return found.trim();
  });
  const tested = await timed(() => type(test!));
  const deployed = await timed(() => type(deploy!));
  const answered = await timed(() => type(invoke!));
  return {
    template: name,
    "init s": seconds(made.ms),
    "test s": seconds(tested.ms),
    "deploy s": seconds(deployed.ms),
    "answer s": seconds(answered.ms),
    "sum s": seconds(made.ms + tested.ms + deployed.ms + answered.ms),
  };
}

async function timed(action: () => Promise<string>): Promise<{ ms: number; said: string }> {
  const begun = performance.now();
  const said = await action();
  return { ms: performance.now() - begun, said };
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
