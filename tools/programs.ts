// The programs of the system that tests and benches use: installed with apt by root on Debian, named where they can't be.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

export type Program = { name: string; debianPackage: string };

/** What container sandboxes are made with. */
const FOR_SANDBOXES: Program[] = [
  { name: "crun", debianPackage: "crun" },
  { name: "runc", debianPackage: "runc" },
  { name: "runsc", debianPackage: "runsc" },
  { name: "nft", debianPackage: "nftables" },
  { name: "ip", debianPackage: "iproute2" },
];

/** Those of them that are still missing. */
export function installMissing(programs: Program[]): Program[] {
  const missing = programs.filter(({ name }) => !isThere(name));
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync("/etc/debian_version")) return missing;
  const packages = missing.map(({ debianPackage }) => debianPackage);
  console.log(`installing ${packages.join(", ")}`);
  apt("update", "-qq");
  // One that this release of Debian lacks must not keep the others away.
  for (const name of packages) apt("install", "-y", "-qq", "--no-install-recommends", name);
  return missing.filter(({ name }) => !isThere(name));
}

function apt(...args: string[]): void {
  spawnSync("apt-get", args, { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
}

function isThere(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;
}

if (import.meta.main) {
  const missing = installMissing(FOR_SANDBOXES);
  for (const { name, debianPackage } of missing)
    console.log(
      `${name} is not here and could not be installed: tests that need it are skipped (apt-get install ${debianPackage}, as root)`,
    );
  if (missing.length === 0) console.log("all programs are here");
}
