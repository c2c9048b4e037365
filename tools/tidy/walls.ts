// Who may import whom: `{base, contract} <- domain <- ports <- {drivers, services} <- main`, imports go left only.

import { resolveImport } from "./paths.ts";
import { type File, type Finding, finding, type Import, importsOf, isFixture, isScript, isTest } from "./source.ts";

export const SERVICES = ["control", "builder", "gateway", "dispatch", "agent", "spawner", "async", "dev"];

type Zone = {
  name: string;
  folder: string;
  /** Zones whose modules may be loaded; the zone itself is always among them. */
  may: string[];
  /** Zones that may be known by `import type` only. */
  mayKnow?: string[];
  /** What its `*.test.ts` may load besides, to wire the thing under test as `main` would. */
  testsMay?: string[];
};

const LEFT_OF_SERVICES = ["base", "link", "contract", "domain", "ports"];
// Only main runs builds: whoever else knew the builder could start one on a path that answers requests.
const KNOWN_SERVICES = SERVICES.filter((name) => name !== "builder" && name !== "dev");
// What else some services may. dev packs what a build would be sent, and is given by main what it knows of the builder.
const MORE: Readonly<Record<string, Pick<Zone, "may" | "mayKnow">>> = {
  builder: { may: ["archive"] },
  dev: { may: ["archive"], mayKnow: ["builder"] },
};

const ZONES: Zone[] = [
  { name: "contract", folder: "contract/", may: [], testsMay: ["base"] },
  // Speaks the frames and messages of contract/link over sockets: the one part of base that knows contracts.
  { name: "link", folder: "platform/src/base/link/", may: ["base", "contract"] },
  { name: "base", folder: "platform/src/base/", may: [], testsMay: ["contract"] },
  { name: "domain", folder: "platform/src/domain/", may: ["base", "contract"] },
  {
    name: "ports",
    folder: "platform/src/ports/",
    may: ["base", "link", "contract", "domain"],
    testsMay: ["drivers", "testing", "bundle"],
  },
  {
    name: "drivers",
    folder: "platform/src/drivers/",
    may: LEFT_OF_SERVICES,
    testsMay: [...SERVICES, "archive", "testing", "bundle"],
  },
  // Packs and unpacks; part of the builder, but the command line packs with it too.
  { name: "archive", folder: "platform/src/builder/archive/", may: ["base", "contract"] },
  ...SERVICES.map((name) => ({
    name,
    folder: `platform/src/${name}/`,
    may: [...LEFT_OF_SERVICES, ...(MORE[name]?.may ?? [])],
    mayKnow: [...KNOWN_SERVICES, "archive", ...(MORE[name]?.mayKnow ?? [])],
    testsMay: ["drivers", "archive", "testing", "bundle", ...SERVICES],
  })),
  {
    name: "main",
    folder: "platform/src/main/",
    may: [...LEFT_OF_SERVICES, "drivers", "archive", ...SERVICES, "bundle", "package.json"],
  },
  // Plays agent and gateway to a guest: for the tests of guests and of drivers.
  { name: "testing", folder: "guest/testing/", may: ["base", "link", "contract"] },
  { name: "bundle", folder: "guest/bundle", may: [] },
  { name: "guest", folder: "guest/", may: [], testsMay: ["base", "link", "contract", "testing", "bundle"] },
  {
    name: "cli",
    folder: "cli/",
    may: ["base", "contract", "archive", "main", "client", "package.json"],
    mayKnow: ["dev"],
  },
  // Speaks to control for programs and for the command line alike; shipped, and loaded, without all else.
  { name: "client", folder: "sdk/node/client", may: [], testsMay: ["contract", "control"] },
  // Its test kits run user code by the guests' own code.
  {
    name: "sdk",
    folder: "sdk/",
    may: ["contract", "guest", "client", "package.json"],
    testsMay: ["base", "link", "testing", "bundle", "control"],
  },
  { name: "console", folder: "console/", may: ["contract"] },
  { name: "tools", folder: "tools/", may: ["contract", "package.json"], testsMay: ["sdk", "client"] },
];

// A guest is shipped without the platform: of the contracts it carries what its own link is made of.
const GUEST_MAY = /^contract\/(guest\/|link\/|errors|names|shape)/;
// Pure modules only: domain does no I/O.
const DOMAIN_BUILTINS = ["node:assert", "node:assert/strict", "node:buffer", "node:crypto", "node:util"];

export function checkWalls(files: File[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files) {
    const zone = zoneOf(file.path);
    if (!isScript(file.path) || isFixture(file.path)) continue;
    if (!zone) {
      if (file.path.startsWith("platform/")) findings.push(finding(file, 0, unknownFolder()));
      continue;
    }
    for (const found of importsOf(file)) {
      const message = refusal(file, zone, found);
      if (message) findings.push(finding(file, found.start, message));
    }
  }
  return findings;
}

function refusal(file: File, zone: Zone, found: Import): string | undefined {
  const target = resolveImport(file.path, found.specifier);
  if (target === undefined) return builtinRefusal(file, zone, found);
  if (zone.name === "guest" && !isTest(file.path)) return guestRefusal(file, found, target);
  const other = zoneOf(target);
  if (other === zone) return undefined;
  const name = other?.name ?? target;
  if (zone.may.includes(name) || (isTest(file.path) && zone.testsMay?.includes(name))) return undefined;
  if (zone.mayKnow?.includes(name)) {
    if (found.typeOnly) return undefined;
    return `${zone.name} may know ${name} by type only: write \`import type\`, and let main wire them`;
  }
  if (name === "builder") return "builder may be imported by main only";
  const allowed = zone.may.length > 0 ? `${zone.may.join(", ")} and itself` : "itself only";
  return `${zone.name} must not import ${name} ("${found.specifier}"): it may import ${allowed}`;
}

function guestRefusal(file: File, found: Import, target: string): string | undefined {
  const own = file.path.split("/").slice(0, 2).join("/");
  if (target.startsWith(`${own}/`) || GUEST_MAY.test(target)) return undefined;
  return `a guest must not import "${found.specifier}": it may import #contract/guest/*, link/*, errors, names, shape, ${own}/ and node: modules`;
}

function builtinRefusal(file: File, zone: Zone, { specifier }: Import): string | undefined {
  if (zone.name !== "domain" || isTest(file.path) || !specifier.startsWith("node:")) return undefined;
  if (DOMAIN_BUILTINS.includes(specifier)) return undefined;
  return `domain does no I/O: it must not import "${specifier}" (only ${DOMAIN_BUILTINS.join(", ")})`;
}

function zoneOf(path: string): Zone | undefined {
  return ZONES.find((zone) => path.startsWith(zone.folder));
}

function unknownFolder(): string {
  return `no wall is drawn for this folder: platform/src has base, domain, ports, drivers, ${SERVICES.join(", ")} and main; a new one goes into tools/tidy/walls.ts`;
}
