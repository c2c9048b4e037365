// Lock files name versions and digests, never the registry of the machine that wrote them.
import { type File, type Finding, finding, isFixture } from "./source.ts";

type LockedPackage = { version?: string; integrity?: string; resolved?: string; link?: boolean; inBundle?: boolean };

export function checkLock(files: File[]): Finding[] {
  return files
    .filter(({ path }) => path.split("/").at(-1) === "package-lock.json" && !isFixture(path))
    .flatMap((file) => {
      const packages: Record<string, LockedPackage> = JSON.parse(file.text).packages ?? {};
      return Object.entries(packages).flatMap(([key, locked]) =>
        faultsOf(key, locked).map((fault) => finding(file, file.text.indexOf(`"${key}": {`), `${key}: ${fault}`)),
      );
    });
}

function faultsOf(key: string, { version, integrity, resolved, link, inBundle }: LockedPackage): string[] {
  const faults: string[] = [];
  if (resolved && /^[a-z+]*:?\/\//i.test(resolved)) {
    faults.push("`resolved` names a host: remove it, and keep omit-lockfile-registry-resolved=true in .npmrc");
  }
  const isDownloaded = key.includes("node_modules/") && !link && !inBundle;
  if (isDownloaded && !version) faults.push("no version: run `npm install` again");
  if (isDownloaded && !integrity) faults.push("no integrity: run `npm install` again against a registry that has it");
  return faults;
}
