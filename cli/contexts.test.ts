import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { FixturePlatform, TOKEN } from "./fixture/platform.ts";
import { colibri, onTerminal, type Ran, temporaryFolder } from "./fixture/run.ts";

const CLI = fileURLToPath(new URL("../bin/colibri", import.meta.url));

describe("contexts", () => {
  let platform: FixturePlatform;
  let other: FixturePlatform;
  beforeEach(async () => {
    [platform, other] = [new FixturePlatform(), new FixturePlatform()];
    await Promise.all([platform.start(), other.start()]);
    platform.addFunction("shop", "greet");
    other.addFunction("blog", "post");
  });
  afterEach(() => Promise.all([platform.stop(), other.stop()]));

  /** A configuration folder of its own, and what runs with it. */
  function place(t: { after(action: () => void): void }) {
    const folder = temporaryFolder(t);
    const env = { XDG_CONFIG_HOME: join(folder, "config"), COLIBRI_HOME: join(folder, "home"), NO_COLOR: "1" };
    const run = (args: readonly string[], more: Record<string, string> = {}, input?: string): Promise<Ran> =>
      onTerminal(args, { cwd: folder, env: { ...env, ...more }, ...(input !== undefined && { input }) });
    const file = join(env.XDG_CONFIG_HOME, "colibri", "contexts.json");
    return { folder, env, run, file, saved: () => JSON.parse(readFileSync(file, "utf8")) };
  }

  test("login asks, checks, keeps for nobody else to read, and puts in use", async (t) => {
    const { run, file, saved } = place(t);
    const login = await run(["login", platform.url, "--context", "prod"], {}, `${TOKEN}\r`);
    assert.equal(login.code, 0, login.err);
    assert.match(login.out, /^Logged in to http.* \(version 9\.9\.9\)\. Context prod is now in use\.\n$/);
    assert.match(login.err, /^Token for http/);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(join(file, "..")).mode & 0o777, 0o700);
    assert.deepEqual(saved(), {
      contexts: [{ name: "prod", controlUrl: platform.url, token: TOKEN }],
      current: "prod",
    });
    assert.equal((await run(["list", "-o", "name"])).out, "shop/greet\n");
  });

  test("the token is never printed", async (t) => {
    const { run } = place(t);
    const ran = [
      await run(["login", platform.url, "--context", "prod"], {}, `${TOKEN}\n`),
      await run(["context", "list", "--json"]),
      await run(["context", "show", "--json"]),
      await run(["context", "show"]),
      await run(["version", "-o", "yaml"]),
      await run(["list"]),
      await run(["logout"]),
    ];
    for (const { out, err } of ran) assert.ok(!`${out}${err}`.includes(TOKEN), `${out}${err}`);
  });

  test("login from a file, a pipe, and without a terminal or either", async (t) => {
    const { folder, env, saved, run } = place(t);
    writeFileSync(join(folder, "token"), `${TOKEN}\n`);
    const fromFile = await run(["login", platform.url, "--token-file", "token", "--context", "a"]);
    assert.equal(fromFile.code, 0, fromFile.err);
    const piped = await colibri(["login", other.url, "--context", "b"], { cwd: folder, env, input: `${TOKEN}\n` });
    assert.equal(piped.code, 0, piped.err);
    assert.deepEqual(
      saved().contexts.map((context: { name: string; token: string }) => [context.name, context.token]),
      [
        ["a", TOKEN],
        ["b", TOKEN],
      ],
    );
    const nothing = await colibri(["login", other.url], { cwd: folder, env });
    assert.deepEqual([nothing.code, nothing.out], [2, ""]);
    assert.match(nothing.err, /no terminal to ask for the token at.\n {2}Use --token-file FILE/);
  });

  test("login names the context by the host, and finds it again by its address", async (t) => {
    const { run, saved } = place(t);
    await run(["login", platform.url], {}, `${TOKEN}\n`);
    assert.deepEqual([saved().current, saved().contexts[0].name], ["127-0-0-1", "127-0-0-1"]);
    const taken = await run(["login", other.url], {}, `${TOKEN}\n`);
    assert.equal(taken.code, 2);
    assert.match(taken.err, /Context 127-0-0-1 is http.* already: choose another name with --context/);
    await run(["logout"]);
    assert.equal("token" in saved().contexts[0], false);
    const refused = await run(["list"]);
    assert.deepEqual([refused.code, /context 127-0-0-1 \(by context use\) has none/.test(refused.err)], [4, true]);
    assert.match(refused.err, /`colibri login --context 127-0-0-1`/);
    assert.equal((await run(["login"], {}, `${TOKEN}\n`)).code, 0);
    assert.equal((await run(["list"])).code, 0);
  });

  test("login keeps nothing that the platform does not accept, or that is no token", async (t) => {
    const { run, file, folder } = place(t);
    writeFileSync(join(folder, "empty"), "\n");
    const cases = [
      [await run(["login", platform.url], {}, "wrong\n"), 4, /does not accept this token; nothing was kept/],
      [await run(["login", platform.url], {}, "two words\n"), 1, /a token is one word of printable characters/],
      [await run(["login", platform.url, "--token-file", "empty"]), 1, /--token-file empty has no token: it is empty/],
      [
        await run(["login", platform.url, "--token-file", "none"]),
        1,
        /--token-file none can't be read: there is no such file/,
      ],
      [await run(["login"], {}, "x\n"), 2, /No context is in use: name the address/],
      [
        await run(["login", "localhost"], {}, "x\n"),
        2,
        /"localhost" is no address[\s\S]*Did you mean http:\/\/localhost:8081\?/,
      ],
      [
        await run(["login", "127.0.0.1:19081"], {}, "x\n"),
        2,
        /no address[\s\S]*Did you mean http:\/\/127\.0\.0\.1:19081\?/,
      ],
      [
        await run(["login", "faas.example:443"], {}, "x\n"),
        2,
        /no address[\s\S]*Did you mean https:\/\/faas\.example:443\?/,
      ],
      [await run(["login", platform.url, "--context", "A b"], {}, "x\n"), 2, /"A b" can't be the name/],
      [await run(["login", "http://127.0.0.1:1"], {}, "x\n"), 3, /can't be reached/],
      [await run(["login", platform.url], {}, "abc\u0003"), 130, /Interrupted/],
    ] as const;
    for (const [{ code, err }, exit, message] of cases) {
      assert.equal(code, exit, err);
      assert.match(err, message);
    }
    assert.throws(() => statSync(file));
  });

  for (const [what, status, body, message] of [
    ["an array", 200, "[1]", /is no control of Colibri: .*Nothing was kept\./],
    ["null", 200, "null", /is no control of Colibri: .*Nothing was kept\./],
    [
      "a version that is none",
      200,
      '{"version":{}}',
      /is no control of Colibri: in its answer, version: expected text, got \{\}\. Nothing/,
    ],
    ["a refusal of its own", 403, '{"code":"no","title":"no","status":403,"detail":"go away"}', /go away/],
  ] as const)
    test(`login keeps nothing where something else answers: ${what}`, async (t) => {
      const { run, file } = place(t);
      const server = createServer((_request, response) => {
        response.writeHead(status, { "content-type": "application/json" }).end(body);
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      t.after(() => server.close());
      const { code, err } = await run(
        ["login", `http://127.0.0.1:${(server.address() as AddressInfo).port}`],
        {},
        "x\n",
      );
      assert.notEqual(code, 0);
      assert.match(err, message);
      assert.throws(() => statSync(file));
    });

  test("login over an open network says so", async (t) => {
    const { run } = place(t);
    const { err } = await run(["login", "http://faas.invalid:1"], {}, "x\n");
    assert.match(err, /warning: http:\/\/faas\.invalid:1 is not encrypted/);
    assert.doesNotMatch((await run(["login", platform.url], {}, "x\n")).err, /not encrypted/);
  });

  test("what is typed is not shown on a real terminal", async (t) => {
    const { env, folder } = place(t);
    const script = `import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
said = b""
sent = False
while True:
    try: part = os.read(fd, 4096)
    except OSError: break
    if not part: break
    said += part
    if not sent and b"Token for" in said:
        sent = True
        os.write(fd, b"${TOKEN.slice(0, 4)}X\\x7f${TOKEN.slice(4)}\\r")
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const child = spawn("python3", ["-c", script, process.execPath, CLI, "login", platform.url], {
      env: { PATH: process.env.PATH, ...env },
      cwd: folder,
    });
    const [said, code] = await Promise.all([
      child.stdout.toArray(),
      new Promise((resolve) => child.on("close", resolve)),
    ]);
    const text = Buffer.concat(said).toString();
    assert.equal(code, 0, text);
    assert.match(text, /Logged in to/);
    for (const part of [TOKEN, TOKEN.slice(4), TOKEN.slice(0, 4)]) assert.ok(!text.includes(part), text);
  });

  test("flags, then COLIBRI_URL, then COLIBRI_CONTEXT, then the one in use, then the home", async (t) => {
    const { run, folder } = place(t);
    mkdirSync(join(folder, "home", "run"), { recursive: true });
    writeFileSync(join(folder, "home", "token"), TOKEN);
    writeFileSync(join(folder, "home", "run", "platform.json"), JSON.stringify({ controlUrl: other.url }));
    await run(["login", platform.url, "--context", "one"], {}, `${TOKEN}\n`);
    await run(["login", other.url, "--context", "two"], {}, `${TOKEN}\n`);
    const names = async (args: readonly string[], env = {}) => (await run(["list", "-o", "name", ...args], env)).out;
    const [ONE, TWO] = ["shop/greet\n", "blog/post\n"];
    const url = { COLIBRI_URL: platform.url, COLIBRI_TOKEN: TOKEN };
    assert.equal(await names([]), TWO);
    assert.equal(await names([], { COLIBRI_CONTEXT: "one" }), ONE);
    assert.equal(await names([], { COLIBRI_CONTEXT: "two", ...url }), ONE);
    assert.equal(await names(["--context", "two"], url), TWO);
    assert.equal(await names(["--context", "two"], { COLIBRI_CONTEXT: "one" }), TWO);
    assert.equal(await names(["--context", "local"], url), TWO);
    const before = async (...args: string[]) => (await run(["--context", ...args], url)).out;
    assert.equal(await before("two", "list", "-o", "name"), TWO);
    assert.equal(await before("one", "list", "-o", "name", "--context", "two"), TWO);
    await run(["context", "use", "one"]);
    assert.equal(await names([]), ONE);
    assert.equal(await names([], { COLIBRI_CONTEXT: "local" }), TWO);
    await run(["context", "use", "local"]);
    assert.equal(await names([]), TWO);
  });

  test("of a context that is the home's platform, the home tells where functions are", async (t) => {
    const { run, folder } = place(t);
    mkdirSync(join(folder, "home", "run"), { recursive: true });
    const addresses = { controlUrl: platform.url, functionsUrl: "http://127.0.0.1:7000" };
    writeFileSync(join(folder, "home", "run", "platform.json"), JSON.stringify(addresses));
    await run(["login", platform.url, "--context", "here"], {}, `${TOKEN}\n`);
    const functions = async () => JSON.parse((await run(["context", "show", "--json"])).out).functions;
    assert.equal(await functions(), "http://127.0.0.1:7000");
    await run(["login", other.url, "--context", "there"], {}, `${TOKEN}\n`);
    assert.equal(await functions(), "http://127.0.0.1:8080");
  });

  test("a context's token does not go where COLIBRI_URL points, nor COLIBRI_TOKEN where --context does", async (t) => {
    const { run } = place(t);
    await run(["login", platform.url, "--context", "one"], {}, `${TOKEN}\n`);
    const elsewhere = await run(["list"], { COLIBRI_URL: other.url });
    assert.equal(elsewhere.code, 4);
    assert.match(elsewhere.err, /wants a token/);
    assert.equal((await run(["list", "--context", "one"], { COLIBRI_TOKEN: "wrong" })).code, 0);
    assert.equal((await run(["list"], { COLIBRI_TOKEN: "wrong" })).code, 4);
  });

  test("list, show, add, remove", async (t) => {
    const { run, saved } = place(t);
    assert.match((await run(["context", "list"])).out, /^\* +local /m);
    const added = await run(["context", "add", "prod", `${platform.url}/`, "--functions-url", "http://f.example"]);
    assert.match(added.out, /^Context prod is http:\/\/127.*[^/]\. Next: colibri login --context prod\n$/);
    await run(["login", "--context", "prod"], {}, `${TOKEN}\n`);
    assert.equal(saved().contexts[0].functionsUrl, "http://f.example");
    assert.match((await run(["context", "ls"])).out, /^\* +prod +http.* kept$/m);
    const shown = JSON.parse((await run(["context", "show", "--json"])).out);
    assert.deepEqual(shown, {
      context: "prod",
      control: platform.url,
      functions: "http://f.example",
      from: { control: "context prod", functions: "context prod", token: "context prod" },
    });
    assert.equal(JSON.parse((await run(["context", "show", "local", "--json"])).out).context, "local");
    // Another address, another platform: its token is not this one's.
    await run(["context", "add", "prod", other.url]);
    assert.equal("token" in saved().contexts[0], false);
    const gone = await run(["context", "rm", "prod"]);
    assert.match(gone.out, /Context prod is forgotten. It was in use/);
    assert.deepEqual(saved(), { contexts: [] });
  });

  test("names that are none, or not there", async (t) => {
    const { run } = place(t);
    await run(["context", "add", "staging", platform.url]);
    const cases = [
      [["list", "--context", "stagin"], 5, /There is no context stagin\.\n {2}Did you mean staging\?/],
      [["context", "use", "prod"], 5, /There is no context prod/],
      [["context", "remove", "local"], 2, /local is always there/],
      [["context", "add", "local", platform.url], 2, /choose another name/],
      [["context", "add", "x", "ftp://x"], 2, /"ftp:\/\/x" is no address/],
      [["context", "add", "x", "http://u:pw@x"], 2, /has a user or a password in it: leave them out/],
      [["logout", "--context", "prod"], 5, /There is no context prod/],
      [["logout"], 1, /No context is in use/],
      [["--context", "staging", "explain"], 2, /explain takes no --context: leave it out/],
      [["explain", "--context", "staging"], 2, /unknown option '--context'\n {2}See/],
      [["--context", "prod", "logout"], 5, /There is no context prod/],
      [
        ["--json", "list"],
        2,
        /unknown option '--json'\n {2}Options stand behind the command: colibri <command> --json/,
      ],
      [["list", "--follow"], 2, /unknown option '--follow'\n {2}See/],
    ] as const;
    for (const [args, exit, message] of cases) {
      const { code, err } = await run(args);
      assert.equal(code, exit, err);
      assert.match(err, message);
    }
  });

  test("a broken file is told, and not replaced by another platform", async (t) => {
    const { run, file } = place(t);
    mkdirSync(join(file, ".."), { recursive: true });
    for (const text of ["{", "[]", '{"contexts":[{"name":"x"}]}']) {
      writeFileSync(file, text);
      const { code, err } = await run(["list"]);
      assert.deepEqual([code, /contexts\.json is broken/.test(err)], [1, true], err);
    }
    assert.equal(platform.requests.length + other.requests.length, 0);
  });
});
