import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DevRun } from "./dev-run.ts";
import { Debugger } from "./inspector.ts";
import { until } from "./platform.ts";

const FILES = {
  "colibri.yaml": `app: shop
functions:
  plain: { runtime: nodejs, timeout: 100ms }
  typed: { runtime: nodejs, handler: index.ts }
  snake: { runtime: python }
`,
  "plain/index.mjs": `export default function handler(input) {
  const answer = input + 1;
  return answer;
}
`,
  "typed/index.ts": `interface Sum { of: number }
export default (input: Sum) => input.of;
`,
  "snake/handler.py": "def handler(input, context):\n    return 1\n",
};
const JSON_BODY = { headers: { "content-type": "application/json" }, body: "41" };
/** Longer than plain's timeout, and than what is granted beyond it. */
const LONG_MS = 1_300;

function portOf(run: DevRun, fn: string): number {
  return Number(new RegExp(`${fn}  .*\\n +.*debugger on port (\\d+)`).exec(run.said)![1]);
}

describe("colibri dev --inspect", () => {
  const run = new DevRun(FILES);
  before(() => run.start("--inspect=0"));
  after(() => run.close());

  test("stops at a breakpoint in the file that is edited, for as long as it takes, and after the next save too", async () => {
    const port = portOf(run, "plain");
    assert.notEqual(port, portOf(run, "typed"));
    await run.says(/plain +· r1 is ready/);
    for (const revision of ["r1", "r2"]) {
      const attached = await Debugger.attach(port);
      const { locations } = await attached.ask("Debugger.setBreakpointByUrl", {
        url: `file://${run.app}/plain/index.mjs`,
        lineNumber: 2,
      });
      assert.equal(locations.length, 1);
      const answered = run.call("/fn/shop/plain", JSON_BODY);
      assert.deepEqual(await attached.stopped(), { url: `file://${run.app}/plain/index.mjs`, line: 2 });
      await new Promise((resolve) => setTimeout(resolve, LONG_MS));
      await attached.ask("Debugger.resume");
      const { status, text } = await answered;
      assert.deepEqual([status, text], [200, "42"]);
      attached.close();
      if (revision === "r2") break;
      run.write("plain/index.mjs", `${FILES["plain/index.mjs"]}// saved\n`);
      await run.says(/plain +· r2 is ready/);
    }
  });

  test("says in one line what Python lacks, and runs it all the same", async (t) => {
    if (!/snake +· .*has no debugpy/.test(run.said)) return t.skip("this machine has debugpy");
    assert.match(
      run.said,
      /install it with ".* -m pip install debugpy" \(on Debian: apt-get install python3-debugpy\)/,
    );
    assert.equal((await run.call("/fn/shop/snake")).text, "1");
  });

  test("a place that is none is refused", async () => {
    const { code, err } = await new Promise<{ code: number | null; err: string }>((resolve) => {
      const child = run.spawn("dev", "--inspect=here");
      let err = "";
      child.stderr!.setEncoding("utf8").on("data", (text) => {
        err += text;
      });
      child.once("close", (code) => resolve({ code, err }));
    });
    assert.equal(code, 2);
    assert.match(err, /--inspect=here is no place for a debugger: write a port such as 9229, or host:port/);
  });
});

describe("colibri dev --inspect-brk", () => {
  const run = new DevRun(FILES);
  before(() => run.start("--inspect-brk=0"));
  after(() => run.close());

  test("waits for a debugger and stops at the first line of the function, not of the guest", async () => {
    const port = portOf(run, "plain");
    await run.says(`Waiting for a debugger on 127.0.0.1:${port}, as long as it takes: open chrome://inspect`);
    const answered = run.call("/fn/shop/plain", JSON_BODY);
    assert.doesNotMatch(run.said, /(?:plain|typed) +· /);
    await go(await Debugger.attach(port));
    const { status, text } = await answered;
    assert.deepEqual([status, text], [200, "42"]);
  });

  test("an editor that attaches the moment it can is not too early", async () => {
    await run.stop();
    await run.start("--inspect-brk=0");
    const port = portOf(run, "plain");
    const answered = run.call("/fn/shop/plain", JSON_BODY);
    await go(await until("a debugger can attach", () => Debugger.attach(port).catch(() => undefined)));
    assert.equal((await answered).text, "42");
  });

  async function go(attached: Debugger): Promise<void> {
    await attached.ask("Runtime.runIfWaitingForDebugger");
    assert.deepEqual(await attached.stopped(), { url: `file://${run.app}/plain/index.mjs`, line: 0 });
    await attached.ask("Debugger.resume");
    attached.close();
  }
});
