import { hostProblem, INTERNET, MAXIMUM_HOSTS, type NetworkPolicy } from "../network/policy.ts";
import type { Entry } from "./document.ts";
import type { FieldReader } from "./reader.ts";

const EXAMPLE = '{ allow: [example.com, "*.example.com"] }';

/** What the app's sandboxes may reach; where something is wrong it is in the reader's mistakes, and the least is returned. */
export function readNetwork(reader: FieldReader, field: Entry | undefined): NetworkPolicy {
  if (field === undefined) return INTERNET;
  const { value } = field;
  const word = reader.peek(value);
  if (word === "internet" || word === "none") return { kind: word };
  if (!reader.expect(value, "map", `internet, none, or ${EXAMPLE}`)) return { kind: "none" };
  const allow = reader.fields(value, "network").get("allow");
  if (allow !== undefined) return { kind: "allow", hosts: readHosts(reader, allow) };
  reader.mistake(value, `says nothing: write internet, none, or ${EXAMPLE}`);
  return { kind: "none" };
}

function readHosts(reader: FieldReader, { value }: Entry): string[] {
  if (!reader.expect(value, "list", 'a list of hosts, such as [example.com, "*.example.com"]')) return [];
  const items = reader.items(value);
  if (items.length === 0) reader.mistake(value, "is empty: to let nothing through write network: none");
  if (items.length > MAXIMUM_HOSTS) reader.mistake(value, `has more than ${MAXIMUM_HOSTS} hosts`);
  return items.slice(0, MAXIMUM_HOSTS).flatMap((item) => {
    const host = reader.text(item, "a host such as example.com or 203.0.113.0/24");
    const problem = host === undefined ? undefined : hostProblem(host);
    if (problem !== undefined) reader.mistake(item, problem);
    return host ?? [];
  });
}
