import { count } from "#contract/count.ts";
import { printable } from "../output/printable.ts";
import type { Style } from "../output/style.ts";
import { showBytes } from "../output/units.ts";
import type { AppFile } from "./app-file.ts";
import type { Source } from "./source.ts";

/** What an upload would hold, for programs. */
export function describeSources({ config }: AppFile, sources: readonly Source[]): unknown {
  return {
    app: config.app,
    functions: Object.entries(config.functions).map(([name, { source, config: wanted }]) => {
      const { entries, bytes } = sources.find((candidate) => candidate.functions.includes(name))!;
      return { function: name, source, bytes, files: entries, config: wanted };
    }),
  };
}

export function renderSources({ config }: AppFile, sources: readonly Source[], style: Style): string {
  const parts = sources.map(({ name, functions, entries, bytes }) => {
    const title = `${style("bold", functions.join(", "))} from ${printable(name)}: ${count(entries.length, "file")}, ${showBytes(bytes)}`;
    const files = entries.map((entry) =>
      entry.kind === "file"
        ? `  ${showBytes(entry.bytes).padStart(10)}  ${printable(entry.path)}`
        : `  ${"link".padStart(10)}  ${printable(`${entry.path} -> ${entry.target}`)}`,
    );
    return [title, ...files, ""].join("\n");
  });
  const total = sources.reduce((sum, { bytes }) => sum + bytes, 0);
  const functions = count(Object.keys(config.functions).length, "function");
  return `${parts.join("\n")}\nApp ${config.app}, ${functions}, ${showBytes(total)}: nothing was uploaded.\n`;
}
