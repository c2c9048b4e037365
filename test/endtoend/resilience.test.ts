// Any role may die or hang: functions go on answering, what runs goes on, and nothing is left over.
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Role } from "#platform/main/supervisor.ts";
import type { Answer } from "./http.ts";
import { node, type Platform, python, signal, startPlatform, until } from "./platform.ts";
import { guestsOf, processesOf, roleOf } from "./processes.ts";

const BACK_MS = 2_000;
// Another number in every sandbox.
const WHO = "const who = Math.random();\nexport default () => who;";
// Has a process in a group of its own.
const CHILD = `
import { spawn } from "node:child_process";
export default () => spawn("sleep", ["600"], { detached: true }).pid;
`;
// Answers when it is told to, by a call of its own.
const LONG = `
let finish;
export default (input) => {
  if (input === "finish") return void finish();
  console.log("running");
  return new Promise((resolve) => { finish = () => resolve("finished"); });
};
`;

let platform: Platform;
before(async () => {
  platform = await startPlatform();
  await platform.deploy("app", {
    warm: node(WHO),
    "warm-python": python("import random\nWHO = random.random()\ndef handler(input, context):\n    return WHO\n"),
    long: node(LONG, { timeout: "60s", scaling: { max: 1 } }),
    ...Object.fromEntries(
      ["control", "gateway", "agent", "spawner", "async"].map((role) => [`cold-${role}`, node(WHO)]),
    ),
  });
  for (const name of ["warm", "warm-python"]) assert.equal((await platform.call(`app/${name}`)).status, 200);
});
after(() => platform?.close());

/** Kills the role as the system would. Resolves with the process that takes its place. */
async function killRole(role: Role): Promise<{ back: Promise<number> }> {
  const before = platform.pidOf(role);
  signal(before, "SIGKILL");
  await until(`${role} is gone`, () => roleOf(platform.home, role)?.pid !== before);
  return { back: until(`${role} is started again`, () => newPid(role, before)) };
}

function newPid(role: Role, before: number): number | undefined {
  const pid = roleOf(platform.home, role)?.pid;
  return pid === before ? undefined : pid;
}

async function assertAnswers(name: string): Promise<Answer> {
  const answer = await platform.call(`app/${name}`);
  assert.equal(answer.status, 200, `${name}: ${answer.text}`);
  return answer;
}

/** Starts an invocation that runs until `finish`. */
async function startLong() {
  const lines = (await platform.logs("app/long")).length;
  const answer = platform.call("app/long").then(
    ({ status, text }) => `${status} ${text}`,
    (error) => String(error),
  );
  await until("it runs", async () => (await platform.logs("app/long")).length > lines);
  const finish = async () => {
    const told = await platform.call("app/long", { headers: { "content-type": "text/plain" }, body: "finish" });
    assert.equal(told.status, 204, told.text);
  };
  return { answer, finish };
}

describe("control", () => {
  test("while it does not answer, functions do, warm and cold; what was recorded meanwhile arrives later", async () => {
    const control = platform.pidOf("control");
    let id: string;
    // A stopped process keeps its connections, a killed one would be back in no time: then there is nothing to see.
    signal(control, "SIGSTOP");
    try {
      await assertAnswers("warm");
      await assertAnswers("warm-python");
      const cold = await assertAnswers("cold-control");
      assert.match(String(cold.headers["server-timing"]), /cold;dur=[1-9]/);
      id = String(cold.headers["colibri-invocation-id"]);
    } finally {
      signal(control, "SIGCONT");
    }
    assert.equal((await platform.record("app/cold-control", id)).outcome, "ok");
  });

  test("killed, it comes back with what was deployed; callers noticed nothing, changes work again", async () => {
    const failures = await callWhile("warm", async () => {
      await (await killRole("control")).back;
      await until(
        "control answers",
        async () => (await platform.api("/v1/health").catch(() => undefined))?.status === 200,
      );
    });
    assert.deepEqual(failures, []);
    assert.match((await platform.colibri("list")).out, /app\/warm-python/);
    await platform.deploy("later", { fn: node('export default () => "new";') });
    assert.equal((await platform.call("later/fn")).text, "new");
  });
});

/** Calls a function over and over during the action. Resolves with what did not answer 200. */
async function callWhile(name: string, action: () => Promise<void>): Promise<string[]> {
  let over = false;
  const failures: string[] = [];
  const calling = (async () => {
    while (!over) {
      const { status, text } = await platform
        .call(`app/${name}`)
        .catch((error) => ({ status: 0, text: String(error) }));
      if (status !== 200) failures.push(`${status} ${text}`);
    }
  })();
  await action().finally(() => {
    over = true;
  });
  await calling;
  return failures;
}

describe("gateway", () => {
  test("killed, it answers again within two seconds, with the sandboxes it finds", async () => {
    const sandboxOf = async ({ headers }: Answer) =>
      (await platform.record("app/warm", String(headers["colibri-invocation-id"]))).sandbox;
    const before = await assertAnswers("warm");
    const sandbox = await sandboxOf(before);
    const begun = Date.now();
    await killRole("gateway");
    const after = await until(
      "it answers",
      async () => {
        const answer = await platform.call("app/warm").catch(() => undefined);
        return answer?.status === 200 && answer;
      },
      BACK_MS,
    );
    assert.ok(Date.now() - begun < BACK_MS);
    assert.deepEqual([await sandboxOf(after), after.json], [sandbox, before.json], "another sandbox answers");
    await assertAnswers("cold-gateway");
  });
});

describe("agent", () => {
  test("killed, what runs finishes, warm functions answer at once and cold ones when it is back", async () => {
    const { answer, finish } = await startLong();
    const before = (await assertAnswers("warm")).json;
    const failures = await callWhile("warm", async () => {
      await (await killRole("agent")).back;
      await assertAnswers("cold-agent");
    });
    assert.deepEqual(failures, []);
    assert.equal((await assertAnswers("warm")).json, before, "another sandbox answers");
    await finish();
    assert.equal(await answer, "200 finished");
  });
});

describe("spawner", () => {
  test("killed, running sandboxes go on and new ones start", async () => {
    const { answer, finish } = await startLong();
    const failures = await callWhile("warm", async () => {
      await (await killRole("spawner")).back;
      await assertAnswers("cold-spawner");
    });
    assert.deepEqual(failures, []);
    await finish();
    assert.equal(await answer, "200 finished");
  });
});

describe("async", () => {
  test("killed, synchronous invocations notice nothing", async () => {
    const failures = await callWhile("warm", async () => {
      await (await killRole("async")).back;
      await assertAnswers("cold-async");
    });
    assert.deepEqual(failures, []);
  });
});

test("after all this every sandbox is known: nothing runs that no function has", async () => {
  for (const app of ["app", "later"]) assert.equal((await platform.colibri("delete", app)).code, 0);
  await until("no guest is left", () => guestsOf(platform.home).length === 0);
});

test("killed together, supervisor and spawner leave nothing: the agent ends the sandboxes itself", async () => {
  const other = await startPlatform();
  try {
    await other.deploy("app", { warm: node(WHO), child: node(CHILD) });
    for (const name of ["warm", "child"]) assert.equal((await other.call(`app/${name}`)).status, 200);
    assert.ok(guestsOf(other.home).length >= 3, "nothing is there to be left");
    // Stopped first: it must not see the other go and start or end anything by itself.
    const both = [other.pidOf("supervisor"), other.pidOf("spawner")];
    for (const pid of both) signal(pid, "SIGSTOP");
    for (const pid of both) signal(pid, "SIGKILL");
    await until("nothing is left", () => processesOf(other.home).length === 0);
    assert.deepEqual(readdirSync(join(other.home, "agent", "sandboxes")), []);
  } finally {
    await other.close();
  }
});

test("a platform whose launcher was killed stops by itself", async () => {
  const other = await startPlatform();
  try {
    signal(other.child.pid!, "SIGKILL");
    await until("nothing is left", () => processesOf(other.home).length === 0);
    assert.ok(!existsSync(join(other.home, "platform.lock")), "it did not end as it should");
  } finally {
    await other.close();
  }
});
