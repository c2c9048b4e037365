/** What `--template` names: one that comes with Colibri, a folder, or a Git repository. */
import { homedir } from "node:os";
import { resolve } from "node:path";
import { usageError } from "../failure.ts";

export type Origin =
  | { readonly kind: "named"; readonly name: string }
  | { readonly kind: "folder"; readonly folder: string }
  | { readonly kind: "git"; readonly address: string; readonly branch?: string; readonly subfolder?: string };

const SCHEME = /^([a-z][a-z0-9+.-]*):(?=\/\/|:)/i;
/** `user@host:path`, as ssh and scp write it. */
const SCP_LIKE = /^[\w.-]+@[\w.-]+:(?!\/\/)./;
const SCHEMES = ["https", "ssh", "file"];
const FORMS = "Write https://…, ssh://…, user@host:path, file:///path, or a path that ends in .git.";

/** @throws CliError for a Git address of a kind that is not used. */
export function parseOrigin(given: string, cwd: string): Origin {
  if (given.trim() === "")
    throw usageError("--template is empty: name a template, a folder such as ./mine, or a Git URL.");
  const scheme = SCHEME.exec(given)?.[1]?.toLowerCase();
  if (scheme !== undefined && !SCHEMES.includes(scheme))
    throw usageError(`A template can't be fetched by ${scheme}: "${given}".`, FORMS);
  const { address, subfolder, branch } = splitAddress(given);
  const isGit = scheme !== undefined || SCP_LIKE.test(given) || address.endsWith(".git");
  if (isGit) {
    const isPath = scheme === undefined && !SCP_LIKE.test(given);
    return {
      kind: "git",
      address: isPath ? resolve(cwd, address) : address,
      ...(branch !== undefined && { branch: checkBranch(branch, given) }),
      ...(subfolder !== undefined && { subfolder: checkSubfolder(subfolder, given) }),
    };
  }
  if (given === "~" || given.startsWith("~/")) return { kind: "folder", folder: resolve(homedir(), given.slice(2)) };
  if (given === "." || given === ".." || given.includes("/")) return { kind: "folder", folder: resolve(cwd, given) };
  return { kind: "named", name: given };
}

/** `address[//subfolder][#branch]` */
function splitAddress(given: string): { address: string; subfolder: string | undefined; branch: string | undefined } {
  const hash = given.indexOf("#");
  const branch = hash === -1 ? undefined : given.slice(hash + 1);
  const rest = hash === -1 ? given : given.slice(0, hash);
  const scheme = SCHEME.exec(rest)?.[0] ?? "";
  const start = scheme === "" ? 0 : scheme.length + 2;
  const slashes = rest.indexOf("//", start);
  if (slashes === -1) return { address: rest, subfolder: undefined, branch };
  return { address: rest.slice(0, slashes), subfolder: rest.slice(slashes + 2), branch };
}

function checkBranch(branch: string, given: string): string {
  if (/^[\w][\w./+-]*$/.test(branch) && !branch.includes("..")) return branch;
  throw usageError(`"${branch}" in "${given}" is no branch or tag: write #name after the address.`);
}

function checkSubfolder(subfolder: string, given: string): string {
  const names = subfolder.split("/").filter((name) => name !== "");
  if (names.length > 0 && !names.some((name) => name === "." || name === "..")) return names.join("/");
  throw usageError(`"${subfolder}" in "${given}" is no folder of the repository: write //folder after the address.`);
}
