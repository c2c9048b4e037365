// What happened can be seen: on the answer, in the record, in the log, in the metrics.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROLES } from "#platform/main/supervisor.ts";
import { call } from "./http.ts";
import { node, type Platform, python, signal, startPlatform, until } from "./platform.ts";

const MIB = 1024 * 1024;
const TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
// Each invocation logs in three places in time, so that several overlap.
const TALKS_NODE = `
export default async (input, context) => {
  for (const part of ["begins", "goes on", "ends"]) {
    console.log(input + " " + part);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  setTimeout(() => console.error(input + " is over"), 5);
  return context.trace ?? "no trace";
};
`;
const TALKS_PYTHON = `
import time
def handler(input, context):
    for part in ("begins", "goes on", "ends"):
        print(input, part)
        time.sleep(0.005)
    context.log.warning("%s is over", input)
    return context.trace or "no trace"
`;
// A megabyte, as much as a sandbox may write at once, and then stays: the next one has a sandbox of its own.
const WRITES = `
export default async () => {
  for (let line = 0; line < 100; line++) console.log("x".repeat(10_000));
  await new Promise((resolve) => setTimeout(resolve, 1_500));
};
`;
const ENDS: Record<string, { code: string; said: RegExp; settings?: Record<string, unknown> }> = {
  "for (;;);": {
    code: "function-timeout",
    said: /did not finish within its timeout of 500 ms/,
    settings: { timeout: "500ms" },
  },
  "process.exit(3);": { code: "function-exited", said: /exited with code 3/ },
  "const all = []; for (;;) all.push(Buffer.alloc(1 << 23, 1));": {
    code: "out-of-memory",
    said: /out of memory at 128 MiB/,
    settings: { memory: "128MiB" },
  },
};

let platform: Platform;
before(async () => {
  platform = await startPlatform();
  await platform.deploy("app", {
    node: node(TALKS_NODE),
    python: python(TALKS_PYTHON),
    ...Object.fromEntries(
      Object.entries(ENDS).map(([code, { code: name, settings }]) => [
        name,
        node(`export default () => { console.log("begins"); ${code} };`, settings),
      ]),
    ),
    fails: node('export default () => { throw new Error("on purpose"); };'),
    writes: node(WRITES, { concurrency: 1, memory: "64MiB" }),
  });
});
after(() => platform?.close());

const say = (name: string, body: string, headers = {}) =>
  platform.call(`app/${name}`, { headers: { "content-type": "text/plain", ...headers }, body });

describe("the answer", () => {
  test("carries the invocation's id and where the time went; the record says the same", async () => {
    const { status, headers } = await say("node", "x");
    const id = String(headers["colibri-invocation-id"]);
    assert.match(id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
    const timing = /^wait;dur=([\d.]+), cold;dur=([\d.]+), run;dur=([\d.]+)$/.exec(String(headers["server-timing"]));
    assert.ok(timing, String(headers["server-timing"]));
    const [waitMs, coldMs, runMs] = timing.slice(1).map(Number) as [number, number, number];
    assert.ok(coldMs > 0 && waitMs >= coldMs && runMs >= 15, timing[0]);
    const record = await platform.record("app/node", id);
    assert.deepEqual([record.outcome, record.status, record.revision, record.trigger], ["ok", status, "r1", "url"]);
    assert.equal(record.bodyBytes, 1);
    assert.ok(Math.abs(record.waitMs - waitMs) < 1, `${record.waitMs} and ${waitMs}`);
  });

  test("a warm one says that nothing was started for it", async () => {
    assert.match(String((await say("node", "x")).headers["server-timing"]), /cold;dur=0,/);
  });

  for (const name of ["node", "python"])
    test(`traceparent reaches a ${name} function; what is no traceparent does not`, async () => {
      assert.equal((await say(name, "x", { traceparent: TRACE })).text, TRACE);
      assert.equal((await say(name, "x", { traceparent: "nonsense" })).text, "no trace");
    });

  test("inspect shows the last invocations with their outcomes", async () => {
    const failed = await platform.call("app/fails");
    const id = String(failed.headers["colibri-invocation-id"]);
    await platform.record("app/fails", id);
    const { out } = await platform.colibri("inspect", "app/fails");
    assert.match(out, new RegExp(`${id}.*function-error +500`));
    const { invocations } = JSON.parse((await platform.colibri("inspect", "app/fails", "--json")).out);
    assert.deepEqual([invocations[0].id, invocations[0].outcome], [id, "function-error"]);
  });
});

describe("the log", () => {
  for (const name of ["node", "python"])
    test(`of a ${name} function: each line has the id of the invocation that wrote it, though many run at once`, async () => {
      const words = Array.from({ length: 15 }, (_, number) => `word-${number}-`);
      const answers = await Promise.all(words.map((word) => say(name, word)));
      for (const [index, answer] of answers.entries()) {
        const id = String(answer.headers["colibri-invocation-id"]);
        const lines = await until("its four lines", async () => {
          const found = await platform.logs(`app/${name}`, id);
          return found.length >= 4 && found;
        });
        const word = words[index]!;
        const texts = lines.map(({ text }) => text).sort();
        assert.deepEqual(texts, [`${word} begins`, `${word} ends`, `${word} goes on`, `${word} is over`].sort());
      }
    });

  test("is followed: a line is shown within two seconds of being written", async (t) => {
    const following = platform.place.spawn(["logs", "app/node", "--follow", "--tail", "0"]);
    t.after(() => following.kill("SIGKILL"));
    let shown = "";
    following.stdout!.setEncoding("utf8").on("data", (text: string) => {
      shown += text;
    });
    // It may take a moment to connect: what is said before is not for it to show.
    await until("it follows", async () => (await say("node", "hello")).status === 200 && shown.includes("hello"));
    await say("node", "unmistakable");
    await until("the line is shown", () => shown.includes("unmistakable begins"), 2_000);
    const ended = new Promise((resolve) => following.once("close", resolve));
    following.kill("SIGINT");
    assert.equal(await ended, 0);
  });

  test("is kept in files of bounded size, so that the oldest can go", async () => {
    const sandboxes = 10;
    await Promise.all(Array.from({ length: sandboxes }, () => platform.call("app/writes")));
    const lines = await until("all is in the log", async () => {
      const found = await platform.logs("app/writes");
      return found.length === sandboxes * 100 && found;
    });
    assert.equal(new Set(lines.map(({ sandbox }) => sandbox)).size, sandboxes);
    const folder = join(platform.home, "control", "logs", "default", "app", "writes");
    const sizes = readdirSync(folder).map((file) => statSync(join(folder, file)).size);
    assert.ok(sizes.length > 1, "it is one file");
    assert.ok(Math.max(...sizes) <= 8.5 * MIB, String(sizes));
  });
});

describe("/metrics", () => {
  const LINE =
    /^[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})? (?:[-+]?[\d.]+(?:e[-+]?\d+)?|\+Inf|NaN)$/i;

  test("are for those with a token", async () => {
    assert.equal((await call(`${platform.controlUrl}/metrics`)).status, 401);
  });

  test("count what a function was asked, in Prometheus' format", async () => {
    const count = (text: string, outcome: string) => {
      const lines = text.split("\n").filter((line) => line.startsWith("colibri_invocations_total{"));
      const ours = lines.find((line) => line.includes('function="fails"') && line.includes(`outcome="${outcome}"`));
      return Number(ours?.split(" ").at(-1) ?? 0);
    };
    const read = async () => (await platform.api("/metrics")).text;
    const before = count(await read(), "function-error");
    for (let n = 0; n < 3; n++) await platform.call("app/fails");
    const text = await until("they are counted", async () => {
      const now = await read();
      return count(now, "function-error") >= before + 3 && now;
    });
    const lines = text.split("\n").filter((line) => line !== "");
    for (const line of lines.filter((found) => !found.startsWith("#"))) assert.match(line, LINE);
    for (const line of lines.filter((found) => found.startsWith("#")))
      assert.match(line, /^# (?:HELP|TYPE) (?:colibri|process|nodejs)_/);
    const families = lines.filter((line) => line.startsWith("# TYPE ")).map((line) => line.split(" ")[2]);
    assert.equal(new Set(families).size, families.length, "a family stands twice");
    assert.ok(families.includes("colibri_invocation_run_seconds"));
  });
});

describe("asynchronous invocation", () => {
  const later = () => platform.call("app/node", { method: "POST", headers: { prefer: "respond-async" } });

  test("is refused with its reason, as this version has it not", async () => {
    const { status, code, message } = await later();
    assert.deepEqual([status, code], [501, "async-unavailable"]);
    assert.match(message, /not part of this version/);
    const { code: exitCode, err } = await platform.colibri("invoke", "app/node", "--async");
    assert.equal(exitCode, 1);
    assert.match(err, /async-unavailable/);
  });

  test("while the async role does not answer, callers are told to try again", async () => {
    const role = platform.pidOf("async");
    signal(role, "SIGSTOP");
    try {
      const { status, headers } = await later();
      assert.equal(status, 503);
      assert.match(String(headers["retry-after"]), /^\d+$/);
    } finally {
      signal(role, "SIGCONT");
    }
    await until("it answers again", async () => (await later()).status === 501);
  });
});

test("the platform's own log is structured and names the role; nothing reported was lost", async () => {
  const text = readFileSync(join(platform.home, "logs", "platform.ndjson"), "utf8");
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  for (const line of lines) {
    const { at, level, role, message } = line;
    assert.ok(Date.parse(at) > 0 && level && role && message, JSON.stringify(line));
  }
  const ready = lines.filter(({ message }) => message === "ready").map(({ role }) => role);
  assert.deepEqual(ready.sort(), [...ROLES].sort());
  assert.ok(!text.includes(platform.token), "the token is in the log");
  const { dropped } = (await platform.api("/v1/health")).json;
  assert.deepEqual(new Set(Object.values(dropped)), new Set([0]));
});

describe("what ended an invocation that could not say so itself", () => {
  for (const { code, said } of Object.values(ENDS))
    test(`${code}: a line of the platform's, in the function's log`, async () => {
      const answer = await platform.call(`app/${code}`);
      const id = String(answer.headers["colibri-invocation-id"]);
      assert.equal(answer.code, code);
      assert.match(answer.message, said);
      const shown = async () => (await platform.colibri("logs", `app/${code}`, "--invocation", id)).out;
      const out = await until("the line", async () => {
        const text = await shown();
        return said.test(text) && text;
      });
      assert.match(out, new RegExp(`^\\S+ error ${id.slice(6, 14)} .*${said.source}`, "m"));
      const lines = await platform.logs(`app/${code}`, id);
      const platforms = lines.filter(({ stream }) => stream === "platform");
      assert.deepEqual(
        platforms.map(({ level, text }) => [level, said.test(text)]),
        [["error", true]],
      );
      const { sandbox } = await platform.record(`app/${code}`, id);
      assert.equal(platforms[0]?.sandbox, sandbox);
    });

  test("one that failed by itself has its own words there, and no others", async () => {
    const { headers } = await platform.call("app/fails");
    const id = String(headers["colibri-invocation-id"]);
    await platform.record("app/fails", id);
    const lines = await until("the stack", async () => {
      const found = await platform.logs("app/fails", id);
      return found.length > 0 && found;
    });
    assert.deepEqual(
      lines.map(({ stream }) => stream),
      ["stderr"],
    );
  });
});
