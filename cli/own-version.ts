import { readFileSync } from "node:fs";

/** Of the checkout or package that this command line is part of. */
export function ownVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return manifest.version;
}
