// What was deployed is live: the first call after a deployment meets the new code, the first one after a deletion nothing.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { node, type Platform, python, signal, startPlatform, until } from "./platform.ts";
import { roleOf } from "./processes.ts";

const ROUNDS = 20;
/** More than a deployment waits for gateways. */
const PATIENCE_MS = 5_000;
/** An ASGI application that says what it hears of its lifespan. */
const LIVES = `
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            print(message["type"])
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
`;
const saying = (text: string) => node(`export default () => "${text}";`);

let platform: Platform;
/** Of a gateway that is just starting: it may not listen yet, or say that it is not ready. */
const firstAnswer = (path: string) =>
  until("the gateway answers", async () => {
    const answer = await platform.call(path).catch(() => undefined);
    return answer?.status === 503 ? undefined : answer;
  });
before(async () => {
  platform = await startPlatform();
});
after(() => platform?.close());

test(`${ROUNDS} deployments of new code, each called as soon as it has ended`, async () => {
  const answers: string[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    await platform.deploy("app", { fn: saying(`v${round}`) });
    const { status, text } = await platform.call("app/fn");
    answers.push(`${status} ${text}`);
  }
  assert.deepEqual(
    answers,
    Array.from({ length: ROUNDS }, (_, index) => `200 v${index + 1}`),
  );
});

test("code that is replaced hears of its end, and has time for it", async () => {
  const deploy = (round: string) =>
    platform.deploy("app", { lives: python(LIVES, { handler: "handler.py#app", env: { ROUND: round } }) });
  await deploy("1");
  assert.equal((await platform.call("app/lives")).status, 204);
  await deploy("2");
  const said = async () => (await platform.logs("app/lives")).map(({ text }) => text);
  await until("it has heard of its end", async () => (await said()).includes("lifespan.shutdown"));
});

describe("a gateway that is behind", () => {
  const path = "/v1/tenants/default/apps/behind";

  /** Stops the gateway until the action is under way; it must not have ended by then. */
  async function whileStopped<T>(begin: () => Promise<T>, isUnderWay: () => Promise<boolean>): Promise<T> {
    const gateway = platform.pidOf("gateway");
    signal(gateway, "SIGSTOP");
    let hasEnded = false;
    try {
      const action = begin().finally(() => {
        hasEnded = true;
      });
      await until("it is stored", isUnderWay);
      // Were it not for the gateway, it would end sooner than these are answered.
      for (let turn = 0; turn < 20; turn++) assert.equal((await platform.api("/v1/health")).status, 200);
      assert.ok(!hasEnded, "it has ended before the gateway knew of it");
      signal(gateway, "SIGCONT");
      return await action;
    } finally {
      signal(gateway, "SIGCONT");
    }
  }

  test("is waited for by a deployment, which then says nothing of it", async () => {
    const deploying = () => platform.tryDeploy("behind", { fn: saying("new") });
    const { code, err } = await whileStopped(deploying, async () => (await platform.api(path)).status === 200);
    assert.equal(code, 0, err);
    assert.doesNotMatch(err, /Not live/);
    assert.equal((await platform.call("behind/fn")).text, "new");
  });

  test("is waited for by a deletion", async () => {
    const deleting = () => platform.api(path, { method: "DELETE" });
    const { status } = await whileStopped(deleting, async () => (await platform.api(path)).status === 404);
    assert.equal(status, 204);
    assert.equal((await platform.call("behind/fn")).status, 404);
  });
});

describe("when a role has just gone", () => {
  test("control was killed: what is deployed as soon as it answers is live, although the gateway has to come back", async () => {
    const answers: string[] = [];
    for (const round of [1, 2, 3]) {
      const before = platform.pidOf("control");
      signal(before, "SIGKILL");
      await until("control answers again", async () => {
        const pid = roleOf(platform.home, "control")?.pid;
        if (pid === undefined || pid === before) return false;
        return (await platform.api("/v1/health").catch(() => undefined))?.status === 200;
      });
      await platform.deploy("killed", { fn: saying(`v${round}`) });
      answers.push((await platform.call("killed/fn")).text);
    }
    assert.deepEqual(answers, ["v1", "v2", "v3"]);
  });

  test("the gateway was killed as a deployment ended, and control can't be asked: the new one answers by what was deployed", async () => {
    await platform.deploy("kept", { fn: saying("v0") });
    for (const round of [1, 2, 3]) {
      const gateway = platform.pidOf("gateway");
      const control = platform.pidOf("control");
      await platform.deploy("kept", { fn: saying(`v${round}`), [`new-${round}`]: saying("here") });
      signal(gateway, "SIGKILL");
      signal(control, "SIGSTOP");
      try {
        for (const [name, answer] of [
          ["fn", `v${round}`],
          [`new-${round}`, "here"],
        ]) {
          const { status, text } = await firstAnswer(`kept/${name}`);
          assert.equal(`${status} ${text}`, `200 ${answer}`, `round ${round}`);
        }
      } finally {
        signal(control, "SIGCONT");
      }
      await until("control is back", async () => (await platform.api("/v1/health")).status === 200);
    }
  });

  test("the gateway hangs: a deployment does not wait for ever, and says who has not confirmed", async () => {
    const gateway = platform.pidOf("gateway");
    signal(gateway, "SIGSTOP");
    try {
      const { code, out, err } = await platform.tryDeploy("hung", { fn: saying("new") });
      assert.equal(code, 0, err);
      assert.match(out, /fn +created +r1/);
      assert.match(
        err,
        new RegExp(`^Not live everywhere yet: not confirmed by gateway\\S* \\(process ${gateway}\\)`, "m"),
      );
    } finally {
      signal(gateway, "SIGCONT");
    }
    await until("it is live", async () => (await platform.call("hung/fn")).text === "new", PATIENCE_MS);
    // From then on deployments wait for it again.
    await platform.deploy("hung", { fn: saying("newer") });
    assert.equal((await platform.call("hung/fn")).text, "newer");
  });
});
