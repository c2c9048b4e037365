import { assertNever } from "#base/assert.ts";
import { isName, NAME_RULE } from "#contract/names.ts";

/** With whom the sandboxes of a tenant share a host: with everybody, with those of the tenant, or with those of the same app. */
const PLACEMENT_CLASSES = ["shared", "tenant", "app"] as const;
export type PlacementClass = (typeof PLACEMENT_CLASSES)[number];

/** By tenant, or by `tenant/app` for one app of it, which goes before. Who is not named is shared. */
export type PlacementRules = Readonly<Record<string, PlacementClass>>;

export type ParsedPlacement =
  | { readonly kind: "rules"; readonly rules: PlacementRules }
  | { readonly kind: "wrong"; readonly message: string };

export interface Resident {
  readonly tenant: string;
  readonly app: string;
}

export type Sharing = { readonly kind: "welcome" } | { readonly kind: "refused"; readonly reason: string };

const EXAMPLE = "acme=tenant,acme/cart=app";

/** Of text such as `acme=tenant,acme/cart=app`. */
export function parsePlacement(text: string): ParsedPlacement {
  const rules = new Map<string, PlacementClass>();
  for (const part of text.split(",")) {
    const [who = "", word = "", ...rest] = part.split("=").map((piece) => piece.trim());
    const found = PLACEMENT_CLASSES.find((candidate) => candidate === word);
    const names = who.split("/");
    if (rest.length > 0 || names.length > 2 || !names.every(isName))
      return wrong(part, `expected a tenant or tenant/app, =, and a class, such as ${EXAMPLE}; names are ${NAME_RULE}`);
    if (found === undefined) return wrong(part, `the class must be one of ${PLACEMENT_CLASSES.join(", ")}`);
    if (rules.has(who)) return wrong(part, `${who} is named twice`);
    rules.set(who, found);
  }
  return { kind: "rules", rules: Object.fromEntries(rules) };
}

/** Whether another sandbox of this app may come to a host where these run. Either side may object. */
export function maySettle(rules: PlacementRules, newcomer: Resident, residents: Iterable<Resident>): Sharing {
  for (const resident of residents) {
    if (!accepts(rules, newcomer, resident)) return refused(rules, newcomer, nameOf(resident));
    if (!accepts(rules, resident, newcomer)) return refused(rules, resident, nameOf(resident));
  }
  return { kind: "welcome" };
}

function accepts(rules: PlacementRules, one: Resident, other: Resident): boolean {
  const sharing = classOf(rules, one);
  switch (sharing) {
    case "shared":
      return true;
    case "tenant":
      return one.tenant === other.tenant;
    case "app":
      return one.tenant === other.tenant && one.app === other.app;
    default:
      return assertNever(sharing, "placement class");
  }
}

/** Own keys only: `constructor` is a name as well. */
function classOf(rules: PlacementRules, { tenant, app }: Resident): PlacementClass {
  const key = [`${tenant}/${app}`, tenant].find((candidate) => Object.hasOwn(rules, candidate));
  return key === undefined ? "shared" : rules[key]!;
}

function refused(rules: PlacementRules, objecting: Resident, there: string): Sharing {
  const sharing = classOf(rules, objecting);
  const who = sharing === "app" ? `app ${nameOf(objecting)}` : `tenant ${objecting.tenant}`;
  return { kind: "refused", reason: `${who} shares no host with others (class ${sharing}), and ${there} runs here` };
}

function nameOf({ tenant, app }: Resident): string {
  return `${tenant}/${app}`;
}

function wrong(part: string, message: string): ParsedPlacement {
  return { kind: "wrong", message: `${JSON.stringify(part.trim())}: ${message}` };
}
