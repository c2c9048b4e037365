import { count } from "#contract/count.ts";
import { findLeftovers, type Leftover, removeLeftover } from "#platform/main/leftovers.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** What is to be removed: of platforms that are surely dead, and of the one whose id is named. */
export type Clean = true | string;

const CHECK = "leftovers";

/** What platforms that do not run any more have left on this machine. */
export async function checkLeftovers(clean: Clean | undefined): Promise<Finding[]> {
  const leftovers = await findLeftovers();
  const unheard = typeof clean === "string" && !leftovers.some(({ id }) => id === clean);
  const findings = await Promise.all(
    leftovers.map((leftover) => (isMeant(leftover, clean) ? cleaned(leftover) : told(leftover))),
  );
  if (unheard) findings.push(fail(CHECK, `nothing of ${clean} can be removed`, idsOf(leftovers)));
  return findings;
}

export function isMeant({ id, owner }: Leftover, clean: Clean | undefined): boolean {
  return clean === id || (clean === true && owner.kind === "dead");
}

async function cleaned(leftover: Leftover): Promise<Finding> {
  const what = `${describe(leftover)}, of ${ownerText(leftover)}`;
  if (process.getuid?.() !== 0) return fail(CHECK, `${what}: not removed`, "Run it as root, such as with sudo.");
  const removed = await removeLeftover(leftover);
  if (removed.kind === "removed") return ok(CHECK, `removed: ${what}`);
  return fail(CHECK, `${what}: ${removed.why}`, "Try again.");
}

export function told(leftover: Leftover): Finding {
  const { id, owner } = leftover;
  const detail = `${describe(leftover)}, of ${ownerText(leftover)}`;
  if (owner.kind === "dead") return warn(CHECK, detail, "npx colibri doctor --clean");
  return warn(CHECK, detail, `If you know that it does not run: npx colibri doctor --clean ${id}`);
}

function ownerText({ id, owner }: Leftover): string {
  return owner.kind === "dead"
    ? `${owner.home}, whose platform was killed`
    : `a platform ${id} that nothing is known of`;
}

function describe({ id, processes, hasTable, links }: Leftover): string {
  const parts = [
    ...(processes.length > 0 ? [count(processes.length, "process", "processes")] : []),
    ...(hasTable ? [`the nft table inet colibri_${id}`] : []),
    ...(links.length > 0 ? [count(links.length, "network interface")] : []),
  ];
  return parts.join(", ");
}

function idsOf(leftovers: readonly Leftover[]): string {
  const ids = leftovers.map(({ id }) => id);
  return ids.length === 0 ? "Nothing is left over on this machine." : `There is something of ${ids.join(", ")}.`;
}
