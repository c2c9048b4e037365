/** Writes the made files of sdk/node/client from the OpenAPI document: `node bin/colibri node tools/write-api-client.ts`. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createDocument } from "#contract/api/openapi.ts";
import { ERRORS } from "#contract/errors.ts";
import { renderApiClient } from "./api-client.ts";
import { ROOT } from "./tree.ts";

/** As they are to be committed, by path. */
export function formattedApiClient(): ReadonlyMap<string, string> {
  const files = Object.entries(renderApiClient(createDocument(""), ERRORS));
  return new Map(files.map(([name, text]) => [`sdk/node/client/${name}`, formatted(name, text)]));
}

function formatted(name: string, text: string): string {
  const biome = join(ROOT, "node_modules/@biomejs/biome/bin/biome");
  const args = [biome, "format", `--stdin-file-path=${name}`];
  return execFileSync(process.execPath, args, { cwd: ROOT, input: text, encoding: "utf8" });
}

if (import.meta.main) for (const [path, text] of formattedApiClient()) writeFileSync(join(ROOT, path), text);
