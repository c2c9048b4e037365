import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TransformFailure } from "esbuild";
import { buildFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import { formatMessages, withEsbuild } from "./esbuild-service.ts";
import { printModule, requireExport } from "./exports.ts";

/** Finds a syntax error in a JavaScript handler, and an export that is not there, when it is deployed and not when it is called. Nothing is run or changed. */
export async function checkJavaScript(job: Job, file: string): Promise<void> {
  job.onStep(`Checking ${file}`);
  const text = await readFile(join(job.source, file), "utf8");
  try {
    await withEsbuild((esbuild) => esbuild.transform(text, { loader: "js", sourcefile: file, logLevel: "silent" }));
  } catch (error) {
    const { errors = [] } = error as Partial<TransformFailure>;
    if (errors.length === 0) throw error;
    throw buildFailed(`The handler has a syntax error:\n${formatMessages(errors)}`);
  }
  const printed = await printModule(job.source, file, text);
  if (printed !== undefined) requireExport(job.config.handler, printed);
}
