import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { type AgentEvents, agentEvents, agentRequests } from "#contract/agent/link.ts";
import { PlatformError } from "#contract/errors.ts";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { AGENT, planOf, within } from "../gateway/stage.fixture.ts";
import { Dispatcher } from "./dispatcher.ts";

const sandbox = "s1";
const READY: AgentEvents["ready"] = { sandbox, startMs: 1, loadMs: 1, initMs: 1 };
const GONE: AgentEvents["gone"] = {
  sandbox,
  cause: "load-failed",
  failure: { code: "load-failed", message: "no file" },
};

/** How a start ends where the agent tells of it before its owner knows the sandbox by name. */
async function startWith<K extends "ready" | "gone">(event: K, value: AgentEvents[K]): Promise<string> {
  const clock = createSystemClock();
  const random = createSystemRandom();
  const network = createSimulatedNetwork(clock, random, { delayMs: [0, 0] });
  const agent = await network.listen(AGENT, ["agent"], (raw) => {
    const refuse = () => Promise.reject(new PlatformError("internal", "nobody asks for this"));
    const hello = () => ({ agent: "a", host: "h", labels: {}, grantMs: 60_000, sandboxes: [] });
    const acquire = () => {
      link.emit(event, value);
      return { sandbox, address: "guest", pooled: "hit" } as const;
    };
    const rest = { load: refuse, freeze: refuse, thaw: refuse, drain: () => ({}), release: () => ({}), list: refuse };
    const serve = { hello, acquire, ...rest, heartbeat: () => ({}) };
    const sides = { asks: {}, hears: {}, serves: agentRequests, emits: agentEvents } as const;
    const link = new MessageLink({ clock }, sides, { serve, hear: {}, closed: () => {} });
    return link.attach(raw).handlers;
  });
  const guest = await network.listen("guest", ["data"], (link) => ({
    frame: () => link.send(GUEST_FRAMES.HELLO, 0, 0, '{"state":"loading","slots":1}', null),
    close: () => {},
  }));
  const ended = Promise.withResolvers<string>();
  const starts = {
    started: () => ended.resolve("started"),
    startFailed: (_: unknown, { code }: { readonly code: string }) => ended.resolve(code),
  };
  const deps = { clock, random, network, log: createSilentLog(), settle: () => {}, starts };
  const options = { owner: "gateway-1", epoch: 1, agentAddress: AGENT, concurrentStarts: 1 };
  const dispatch = new Dispatcher(deps, options);
  try {
    dispatch.open();
    dispatch.setPlan(planOf("f", { min: 1 }));
    return await within("the end of the start", ended.promise);
  } finally {
    await dispatch.close();
    await agent.close();
    await guest.close();
  }
}

test("a sandbox that is ready before its owner knows its name is ready", async () => {
  assert.equal(await startWith("ready", READY), "started");
});

test("a sandbox that is gone before its owner knows its name has failed for its own reason", async () => {
  assert.equal(await startWith("gone", GONE), "load-failed");
});
