import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FixturePlatform, INVOCATION } from "./fixture/platform.ts";
import { colibri, envFor, onTerminal, spawnColibri, temporaryFolder } from "./fixture/run.ts";

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0xff, 0xfe]);

describe("invoke", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = envFor(platform);
    for (const name of ["echo", "about", "throw", "teapot", "broken", "vanish"]) platform.addFunction("app", name);
  });
  afterEach(() => platform.stop());

  const about = async (...args: string[]) => JSON.parse((await colibri(["invoke", "app/about", ...args], { env })).out);

  test("without data: GET, nothing sent", async () => {
    const seen = await about();
    assert.deepEqual([seen.method, seen.type, seen.url], ["GET", "none", "/fn/app/about"]);
    assert.equal(seen.headers.authorization, undefined, "the token is none of the function's business");
  });

  test("--data is JSON if it is, text otherwise; --content-type has the last word", async () => {
    assert.deepEqual(pick(await about("--data", '{"a":1}')), ["POST", "application/json"]);
    assert.deepEqual(pick(await about("-d", "{a")), ["POST", "text/plain; charset=utf-8"]);
    assert.deepEqual(pick(await about("-d", "{}", "--content-type", "text/x")), ["POST", "text/x"]);
    assert.equal((await colibri(["invoke", "app/echo", "-d", ""], { env })).code, 0);
  });

  test("what looks like JSON and is none is sent as text, which is said", async () => {
    const says = /^It is sent as text, as it is no JSON: Expected property name .*\. --content-type text\/plain says/;
    const data = (...args: string[]) => onTerminal(["invoke", "app/about", ...args], { env });
    const told = await data("-d", " {a:1}");
    assert.deepEqual([JSON.parse(told.out).type, says.test(told.err)], ["text/plain; charset=utf-8", true], told.err);
    assert.match((await colibri(["invoke", "app/about"], { env, input: "{a:1}" })).err, says);
    for (const args of [
      ["-d", "[1]"],
      ["-d", "a{1}"],
      ["-d", "{a:1}", "--content-type", "text/plain"],
    ])
      assert.equal((await data(...args)).err, "");
  });

  test("--method, --path and repeated --header arrive", async () => {
    const args = ["-X", "put", "--path", "/x%20y?q=1", "-H", "X-One: 1", "-H", "X-Two: a:b", "-H", "X-Two: c"];
    const seen = await about(...args);
    assert.deepEqual([seen.method, seen.url, seen.rest], ["PUT", "/fn/app/about/x%20y?q=1", ["x%20y"]]);
    assert.deepEqual([seen.headers["x-one"], seen.headers["x-two"]], ["1", "a:b, c"]);
  });

  test("what can't be sent is a wrong command line, and says why", async () => {
    const cases = [
      [["--path", "x"], /must begin with \/ or \?/],
      [["--path", "/ä"], /percent-encoded: write %C3%A4/],
      [["-H", "nonsense"], /write 'Name: value'/],
      [["-X", "G T"], /no HTTP method/],
      [["-d", "x", "-f", "y"], /not both/],
    ] as const;
    for (const [args, message] of cases) {
      const { code, err } = await onTerminal(["invoke", "app/about", ...args], { env });
      assert.equal(code, 2, args.join(" "));
      assert.match(err, message);
    }
    assert.equal(platform.requests.length, 0);
  });

  test("--file sends a file by its extension, --output writes the answer", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, "in.png"), PNG);
    assert.equal((await about("--file", join(cwd, "in.png"))).type, "image/png");
    const ran = await colibri(["invoke", "app/echo", "-f", "in.png", "-o", "out.png"], { cwd, env });
    assert.equal(ran.code, 0, ran.err);
    assert.equal(ran.stdout.length, 0);
    assert.deepEqual(readFileSync(join(cwd, "out.png")), PNG);
    const missing = await colibri(["invoke", "app/echo", "-f", "none.png"], { cwd, env });
    assert.deepEqual(
      [missing.code, /--file none.png can't be read: there is no such file/.test(missing.err)],
      [1, true],
    );
    const nowhere = await colibri(["invoke", "app/echo", "-f", "in.png", "-o", "no/where"], { cwd, env });
    assert.deepEqual(
      [nowhere.code, /--output no\/where can't be written: there is no such file or folder/.test(nowhere.err)],
      [1, true],
    );
  });

  test("standard input is sent as it is and its kind is seen", async () => {
    const type = async (input: Buffer | string) =>
      JSON.parse((await colibri(["invoke", "app/about"], { env, input })).out).type;
    assert.equal(await type("[1]"), "application/json");
    assert.equal(await type("a,b"), "text/plain; charset=utf-8");
    assert.equal(await type(PNG), "application/octet-stream");
    assert.equal(await type(""), "none");
    const large = Buffer.alloc(3_000_000, "a large text ");
    assert.equal(await type(large), "application/octet-stream");
    assert.ok((await colibri(["invoke", "app/echo"], { env, input: large })).stdout.equals(large));
    const echoed = await colibri(["invoke", "app/echo", "--file", "-"], { env, input: PNG });
    assert.deepEqual(echoed.stdout, PNG);
  });

  test("50 MB go both ways, byte for byte", async () => {
    const piece = randomBytes(1024 * 1024);
    const [sent, received] = [createHash("sha256"), createHash("sha256")];
    const child = spawnColibri(["invoke", "app/echo", "--content-type", "application/x-any"], { env, input: "" });
    child.stdout!.on("data", (chunk) => received.update(chunk));
    for (let number = 0; number < 50; number++) {
      piece.writeUInt32LE(number);
      const copy = Buffer.from(piece);
      sent.update(copy);
      if (!child.stdin!.write(copy)) await new Promise((resolve) => child.stdin!.once("drain", resolve));
    }
    child.stdin!.end();
    assert.equal(await new Promise((resolve) => child.on("close", resolve)), 0);
    assert.equal(received.digest("hex"), sent.digest("hex"));
  });

  test("a stream is passed on before it ends", async () => {
    const child = spawnColibri(["invoke", "app/echo", "--content-type", "text/plain"], { env, input: "" });
    child.stdin!.write("first");
    const [chunk] = await new Promise<Buffer[]>((resolve) => child.stdout!.once("data", (data) => resolve([data])));
    assert.equal(String(chunk), "first");
    child.stdin!.end();
    assert.equal(await new Promise((resolve) => child.on("close", resolve)), 0);
  });

  test("a failure says code, message, invocation and where its log is", async () => {
    const { code, out, err } = await colibri(["invoke", "app/throw"], { env });
    assert.equal(code, 1);
    assert.equal(out, "");
    assert.match(err, /error: Error: boom\n {6}at handler \[function-error, status 500\]/);
    assert.match(err, /See the message and the function's log/);
    assert.match(err, new RegExp(`npx colibri logs app/throw --invocation ${INVOCATION}`));
  });

  test("a status of the function's own: its answer, and failure", async () => {
    const { code, out, err } = await colibri(["invoke", "app/teapot"], { env });
    assert.equal(code, 1);
    assert.equal(out, "short and stout");
    assert.match(err, /The function answered with status 418/);
  });

  test("an answer that breaks off is a failure", async () => {
    const { code, out, err } = await colibri(["invoke", "app/broken"], { env });
    assert.equal(code, 1);
    assert.equal(out, "half");
    assert.match(err, /The answer broke off after 4 B/);
    assert.match(err, new RegExp(`colibri logs app/broken --invocation ${INVOCATION}`));
  });

  test("what an answer that broke off left in a file is removed, but not a device", async (t) => {
    const cwd = temporaryFolder(t);
    const { code, err } = await colibri(["invoke", "app/broken", "-o", "half.out"], { cwd, env });
    assert.equal(code, 1);
    assert.match(err, /error: The answer broke off after 4 B \(.*\)\.\n {2}--output half\.out was not kept\.\n/);
    assert.match(err, new RegExp(`colibri logs app/broken --invocation ${INVOCATION}`));
    assert.deepEqual(readdirSync(cwd), []);
    symlinkSync("/dev/null", join(cwd, "nothing"));
    assert.equal((await colibri(["invoke", "app/broken", "-o", "nothing"], { cwd, env })).code, 1);
    assert.deepEqual(readdirSync(cwd), ["nothing"]);
    const full = await colibri(["invoke", "app/teapot", "-o", "/dev/full"], { cwd, env });
    assert.match(full.err, /--output \/dev\/full can't be written: no space is left/);
  });

  test("bytes that break off are a failure on a terminal too", async () => {
    const { code, out, err } = await onTerminal(["invoke", "app/broken"], { env });
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, new RegExp(`The answer broke off after 4 B[^]*--invocation ${INVOCATION}`));
  });

  test("--async tells what the platform says", async () => {
    const { code, err } = await colibri(["invoke", "app/echo", "--async"], { env });
    assert.equal(code, 1);
    assert.match(err, /async-unavailable, status 501/);
  });

  test("--verbose shows id and times on standard error", async () => {
    const { out, err } = await colibri(["invoke", "app/echo", "-d", "x", "--verbose"], { env });
    assert.equal(out, "x");
    assert.match(err, new RegExp(`< Colibri-Invocation-Id: ${INVOCATION}`));
    assert.match(err, /< Server-Timing: wait;dur=1/);
  });

  test("an unknown function: what was meant, exit 5", async () => {
    const { code, err } = await colibri(["invoke", "app/ehco"], { env });
    assert.equal(code, 5);
    assert.match(err, /There is no function app\/ehco\.\n {2}Did you mean app\/echo\?/);
  });

  test("a connection that breaks before an answer: not known what ran, exit 3", async () => {
    const { code, err } = await colibri(["invoke", "app/vanish", "-d", "x"], { env });
    assert.equal(code, 3);
    assert.match(err, /The connection broke before an answer came \(/);
    assert.match(err, /limits\.body/);
  });

  test("nothing listens here: how it is started, outside of the checkout too", async (t) => {
    const { err } = await onTerminal(["invoke", "app/echo"], {
      cwd: temporaryFolder(t),
      env: { COLIBRI_PORT: "1", NO_COLOR: "1" },
    });
    assert.match(err, /\n {2}Start it with `colibri serve`, or set COLIBRI_HOME/);
  });

  test("nothing listens: exit 3, and where it looked", async () => {
    await platform.stop();
    const { code, err } = await colibri(["invoke", "app/echo"], { env });
    assert.equal(code, 3);
    assert.match(err, /No functions can be reached at .* \(connection refused\)/);
    assert.match(err, /The address is from COLIBRI_FUNCTIONS_URL/);
  });

  test("a terminal is not fed bytes, and text ends with a line end", async () => {
    const binary = await onTerminal(["invoke", "app/echo", "-d", "x", "--content-type", "image/png"], { env });
    assert.equal(binary.code, 0);
    assert.equal(binary.out, "");
    assert.match(binary.err, /The answer is 1 B of image\/png: not shown on a terminal/);
    const text = await onTerminal(["invoke", "app/echo", "-d", "x"], { env });
    assert.equal(text.out, "x\n");
  });
});

function pick(seen: { method: string; type: string }): [string, string] {
  return [seen.method, seen.type];
}
