import { randomBytes } from "node:crypto";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "./checkout.ts";

export type Language = "nodejs" | "python";

export interface FleetOptions {
  readonly runtime: Language;
  readonly count: number;
  /** As in colibri.yaml. */
  readonly keepAlive: string;
  /** Beside the handler, different in each bundle. Default 8. */
  readonly ballastBytes?: number;
}

/** An app of many functions that do the same, each with a bundle of its own. */
export interface Fleet {
  readonly folder: string;
  /** Of the functions, on the gateway. */
  readonly paths: readonly string[];
  remove(): void;
}

const SOURCES = {
  nodejs: { file: "index.mjs", folder: "function" },
  python: { file: "handler.py", folder: "function-python" },
} as const;

export function writeFleet({ runtime, count, keepAlive, ballastBytes = 8 }: FleetOptions): Fleet {
  const folder = mkdtempSync(join(tmpdir(), "colibri-fleet-"));
  const { file, folder: source } = SOURCES[runtime];
  const names = Array.from({ length: count }, (_, index) => `f${index}`);
  for (const name of names) {
    cpSync(join(HERE, "bench", source, file), join(folder, name, file), { recursive: true });
    writeFileSync(join(folder, name, "ballast.bin"), randomBytes(ballastBytes));
  }
  const settings = `runtime: ${runtime}, handler: ${file}, scaling: { min: 0, max: 1, keepAlive: ${keepAlive} }`;
  const lines = [`app: ${runtime}`, "functions:", ...names.map((name) => `  ${name}: { ${settings} }`)];
  writeFileSync(join(folder, "colibri.yaml"), `${lines.join("\n")}\n`);
  return {
    folder,
    paths: names.map((name) => `/fn/${runtime}/${name}`),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
