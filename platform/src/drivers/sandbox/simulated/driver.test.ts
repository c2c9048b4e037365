import { createHash } from "node:crypto";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { GuestLoad } from "#contract/guest/link.ts";
import { type SandboxFixture, testSandboxDriver } from "#ports/sandbox/conformance.ts";
import { type Behaviour, DEFAULT_BEHAVIOUR, type SimulatedOutcome } from "./behaviour.ts";
import { createSimulatedDriver, createSimulatedHost } from "./driver.ts";

const CODE = Buffer.from("a bundle");
const bundle = {
  digest: `sha256:${createHash("sha256").update(CODE).digest("hex")}`,
  bytes: CODE.length,
  folder: "/nowhere",
  async *read() {
    yield CODE;
  },
} as const;

const OUTCOMES: Record<string, SimulatedOutcome> = {
  "exit.mjs": "exit",
  "spin.mjs": "hang",
  "eat.mjs": "out-of-memory",
};

/** The suite's functions, by the names of their files. */
function behaviourOf({ handler }: GuestLoad): Behaviour {
  return { ...DEFAULT_BEHAVIOUR, answer: "echo", outcomes: { [OUTCOMES[handler] ?? "ok"]: 1 } };
}

async function make(): Promise<SandboxFixture> {
  const clock = new SimulatedClock();
  const random = createSeededRandom(1);
  const network = createSimulatedNetwork(clock, random, { delayMs: [0.1, 0.2] });
  const host = createSimulatedHost(
    { network, clock, random },
    { prefix: "guest:", startMs: [10, 20], startFails: 0, behaviourOf },
  );
  const driver = createSimulatedDriver(host);

  async function settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const end = () => {
      settled = true;
    };
    void promise.then(end, end);
    while (!settled) await clock.advance(1);
    return promise;
  }

  return {
    driver,
    network,
    runtime: { name: "nodejs", command: ["node"], environment: {} },
    bundle,
    broken(spec) {
      Object.assign(host.options, { startFails: 1 });
      return spec;
    },
    again: () => createSimulatedDriver(host),
    startAndDie: async (spec) => (await settle(driver.start(spec))).handle,
    settle,
    leftovers: async () => [...host.guests.keys()],
    remove: async () => {},
  };
}

testSandboxDriver({
  name: "simulated",
  capabilities: {
    isolation: "simulated",
    deliver: "bytes",
    freeze: true,
    network: false,
    limits: { memory: "watched", cpu: "none", processes: "none" },
  },
  make,
});
