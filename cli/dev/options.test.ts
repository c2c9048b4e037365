import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { checkInspect, inspectOption, openDebuggerWarning } from "./inspect-option.ts";
import { choosePort } from "./port.ts";

test("--inspect takes nothing, a port, or host and port, as Node does", () => {
  assert.equal(inspectOption(undefined, undefined), undefined);
  assert.deepEqual(inspectOption(true, undefined), { host: "127.0.0.1", port: 9229, brk: false });
  assert.deepEqual(inspectOption("9300", undefined), { host: "127.0.0.1", port: 9300, brk: false });
  assert.deepEqual(inspectOption("localhost:0", undefined), { host: "localhost", port: 0, brk: false });
  assert.deepEqual(inspectOption("[::1]:9300", undefined), { host: "::1", port: 9300, brk: false });
  assert.deepEqual(inspectOption(true, "9400"), { host: "127.0.0.1", port: 9400, brk: true });
  for (const wrong of ["here", "1:2:3x", "65536", ":", ""])
    assert.throws(() => inspectOption(wrong, undefined), { exit: 2, message: /is no place for a debugger/ });
});

test("a debugger that others can reach is warned of", () => {
  for (const given of ["9300", "localhost:0", "127.1.2.3:9300", "[::1]:9300"])
    assert.equal(openDebuggerWarning(inspectOption(given, undefined)!), undefined, given);
  for (const given of ["0.0.0.0:9229", "[::]:9229", "10.0.0.7:9229", "desk.example.com:9229"])
    assert.match(
      openDebuggerWarning(inspectOption(given, undefined)!) ?? "",
      /can run any program here, as you/,
      given,
    );
});

test("a place at which no debugger can listen is refused, a port that is taken is not", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  await checkInspect({ host: "127.0.0.1", port, brk: false });
  await assert.rejects(checkInspect({ host: "192.0.2.7", port: 9229, brk: false }), {
    exit: 1,
    message:
      "The debugger can't listen on 192.0.2.7:9229 (EADDRNOTAVAIL): choose another place with --inspect=<host:port>.",
  });
});

test("a port that is asked for is that one or an error; else the first that is free, which is told", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  await assert.rejects(choosePort(String(port), undefined), { exit: 1, message: `Port ${port} is taken.` });
  await assert.rejects(choosePort(undefined, String(port)), { message: `Port ${port} is taken.` });
  for (const wrong of ["http", "65536", "-1", "1e3"])
    await assert.rejects(choosePort(wrong, undefined), { exit: 2, message: new RegExp(`--port ${wrong} is no port`) });
  assert.deepEqual(await choosePort("0", "1"), { port: 0, note: undefined });
  const free = await choosePort(undefined, "");
  assert.ok(free.port >= 8080 && free.port < 8100);
  assert.equal(free.note, free.port === 8080 ? undefined : `Port 8080 is taken: ${free.port} it is.`);
});
