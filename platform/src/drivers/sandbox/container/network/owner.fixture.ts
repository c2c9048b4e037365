// An agent's part in networks, to be killed. Arguments: home, folder, nameserver, `hold`, `narrow` or `churn`, and perhaps where
// its programs are. `hold` takes three networks, prints their names and waits; `narrow` then allows less with every line of its input;
// `churn` takes, changes and releases until it dies.
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { createSandboxNetworks } from "./networks.ts";

const [, , home, folder, nameserver, what, programs] = process.argv as string[];
const networks = createSandboxNetworks(
  { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog() },
  {
    home: home!,
    folder: folder!,
    poolSize: 2,
    nameservers: [{ address: nameserver!, port: 53 }],
    ...(programs !== undefined && { searchPath: [programs] }),
  },
);
await networks.open(new AbortController().signal);
const allow = { kind: "allow", hosts: ["web.example.test", "203.0.113.0/24:1"] } as const;
process.stdin.on("end", () => process.exit(0)).resume();
if (what !== "churn") {
  const taken = [await networks.take(), await networks.take(), await networks.take()];
  await taken[1]!.apply(allow);
  await taken[2]!.apply({ kind: "none" });
  console.log(JSON.stringify(taken.map(({ name, path, address }) => ({ name, path, address }))));
  if (what === "narrow")
    process.stdin.on("data", () => void taken[1]!.apply({ kind: "allow", hosts: allow.hosts.slice(0, 1) }));
} else {
  console.log("churning");
  for (;;) {
    const taken = await Promise.all([networks.take(), networks.take(), networks.take()]);
    await taken[0]!.apply(allow);
    await Promise.all(taken.map((network) => network.release()));
  }
}
