import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { type Case, NO_REQUEST } from "./case.ts";
import { parseCaseFile } from "./case-file.ts";
import { runCase } from "./runner.ts";

const TEXT = "functions:\n  hello:\n    - name: answers\n      expect: { status: 200 }\n";

function oneCase(): Case {
  const parsed = parseCaseFile(TEXT, { functions: ["hello"], find: () => "absent" });
  assert.equal(parsed.kind, "cases");
  return { ...(parsed.kind === "cases" ? parsed.cases[0]! : assert.fail()), request: NO_REQUEST };
}

async function answeredBy(listener: RequestListener, limits: { bytes: number; timeoutMs: number }) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    const { port } = server.address() as AddressInfo;
    return await runCase(oneCase(), {
      ...{ url: `http://127.0.0.1:${port}`, tenant: "default", app: "shop", folder: "/nowhere" },
      signal: new AbortController().signal,
      limits: { bytes: limits.bytes, timeoutMs: () => limits.timeoutMs },
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("who never answers, or never ends an answer, is given up with the time that it had", async () => {
  const never: RequestListener[] = [() => {}, (_request, response) => void response.writeHead(200).write("begun")];
  for (const listener of never) {
    const { outcome, problems } = await answeredBy(listener, { bytes: 100, timeoutMs: 50 });
    assert.equal(outcome, "failed");
    assert.match(problems.join(), /^no answer came: none that is complete within 0\.05 s/);
  }
});

test("an answer of as many bytes as are compared is taken, one of more is not", async () => {
  const of =
    (bytes: number): RequestListener =>
    (_request, response) =>
      void response.end(Buffer.alloc(bytes));
  const limits = { bytes: 1024, timeoutMs: 60_000 };
  assert.equal((await answeredBy(of(1024), limits)).outcome, "passed");
  const { outcome, problems } = await answeredBy(of(1025), limits);
  assert.deepEqual([outcome, problems.length], ["failed", 1]);
  assert.match(problems[0]!, /^no answer came: it has more than the 1(?:\.0)? ?KiB that are compared/);
});
