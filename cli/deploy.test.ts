import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { CliError } from "./failure.ts";
import { FixturePlatform, TOKEN } from "./fixture/platform.ts";
import { colibri, envFor, onTerminal, spawnColibri, temporaryFolder } from "./fixture/run.ts";

const YAML = `app: shop
functions:
  greet: { runtime: nodejs, handler: index.mjs }
`;

function appFolder(test: { after(action: () => void): void }, yaml = YAML): string {
  const folder = temporaryFolder(test);
  writeFileSync(join(folder, "colibri.yaml"), yaml);
  mkdirSync(join(folder, "greet"));
  writeFileSync(join(folder, "greet", "index.mjs"), "export default () => 1;\n");
  return folder;
}

/** Of the one source in the folder. */
async function digestOfFirst(platform: FixturePlatform, cwd: string): Promise<string> {
  await onTerminal(["deploy", cwd], { env: envFor(platform) });
  return [...platform.uploads.keys()][0]!;
}

describe("deploy", () => {
  let platform: FixturePlatform;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
  });
  afterEach(() => platform.stop());

  test("what the app may reach goes with it", async (t) => {
    const cwd = appFolder(t, `network: { allow: [example.com, "*.example.com:443"] }\n${YAML}`);
    assert.equal((await onTerminal(["deploy"], { cwd, env: envFor(platform) })).code, 0);
    assert.deepEqual(platform.networks.get("shop"), { kind: "allow", hosts: ["example.com", "*.example.com:443"] });
    const wrong = appFolder(t, `network: { allow: [10.0.0.1] }\n${YAML}`);
    const refused = await onTerminal(["deploy"], { cwd: wrong, env: envFor(platform) });
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /colibri\.yaml:1:20: network\.allow\[0\]: "10\.0\.0\.1" is private/);
  });

  test("uploads, follows and says how to call what is new; then says that nothing is to do", async (t) => {
    const cwd = appFolder(t);
    const spool = temporaryFolder(t);
    const env = { ...envFor(platform), TMPDIR: spool };
    const first = await colibri(["deploy"], { cwd, env });
    assert.equal(first.code, 0, first.err);
    assert.match(first.err, /^greet: 1 file, 24 B, uploaded$/m);
    assert.match(first.err, /^greet: Installing dependencies$/m);
    assert.doesNotMatch(first.err, /npm said/);
    assert.match(first.out, /FUNCTION +CHANGE +REVISION +URL\ngreet +created +r1 /);
    assert.match(
      first.out,
      new RegExp(`It is called at:\n  ${platform.url}/fn/shop/greet\n.*:\n  colibri logs shop/greet\n$`),
    );

    assert.deepEqual(platform.networks.get("shop"), { kind: "internet" }, "what the file leaves out is sent");

    const again = await colibri(["deploy"], { cwd, env });
    assert.equal(again.code, 0, again.err);
    assert.equal(again.out, "Nothing to do: app shop is as deployed (revision r1).\n");
    assert.match(again.err, /uploaded before/);
    assert.equal(platform.requests.filter((line) => line.startsWith("PATCH")).length, 1);

    writeFileSync(join(cwd, "greet", "index.mjs"), "export default () => 2;\n");
    const changed = await colibri(["deploy", "--verbose"], { cwd, env });
    assert.match(changed.out, /greet +updated +r2 /);
    assert.doesNotMatch(changed.out, /colibri logs/);
    assert.match(changed.err, /greet \| npm said something/);
    assert.deepEqual(readdirSync(spool), [], "temporary files are left behind");
  });

  test("prints the deployment as JSON, addresses whole", async (t) => {
    const { code, out } = await colibri(["deploy", appFolder(t), "--json"], { env: envFor(platform) });
    assert.equal(code, 0);
    const deployment = JSON.parse(out);
    assert.equal(deployment.functions[0].url, `${platform.url}/fn/shop/greet`);
    assert.equal(deployment.functions[0].change, "created");
  });

  test("takes up a stream of events that is cut, without telling one twice", async (t) => {
    platform.cutAfter = 2;
    const { code, err } = await onTerminal(["deploy", appFolder(t)], { env: { ...envFor(platform), NO_COLOR: "1" } });
    assert.equal(code, 0, err);
    assert.equal(err.match(/Installing dependencies/g)?.length, 1);
    const reads = platform.requests.filter((line) => line.includes("/events"));
    assert.deepEqual(
      reads.map((line) => line.split("/events")[1]),
      ["", "?after=2"],
    );
  });

  test("goes on with an upload that is cut where it was, and says so", async (t) => {
    platform.uploadsToCut = 2;
    const { code, err } = await colibri(["deploy", appFolder(t)], { env: envFor(platform) });
    assert.equal(code, 0, err);
    assert.match(err, /^greet: going on at 1\.0 KiB of 2\.0 KiB$/m);
    assert.match(err, /^greet: going on at 1\.5 KiB of 2\.0 KiB$/m);
    assert.equal(platform.requests.filter((line) => line.startsWith("PATCH")).length, 3);
    assert.deepEqual([...platform.functions.keys()], ["shop/greet"]);
  });

  test("what is there of an upload that was given up is not sent again", async (t) => {
    const cwd = appFolder(t);
    platform.uploadsToCut = Number.POSITIVE_INFINITY;
    const controller = new AbortController();
    const watch = setInterval(() => platform.unfinished.size > 0 && controller.abort(new CliError("Ctrl-C")), 5);
    t.after(() => clearInterval(watch));
    assert.equal((await onTerminal(["deploy", cwd], { env: envFor(platform), signal: controller.signal })).code, 1);
    platform.uploadsToCut = 0;
    const { code, err } = await onTerminal(["deploy", cwd], { env: envFor(platform) });
    assert.equal(code, 0, err);
    assert.match(err, /greet: going on at 1\.\d KiB of 2\.0 KiB/);
  });

  test("bytes that were damaged on the way are sent once more from the start, and no more than once", async (t) => {
    const cwd = appFolder(t);
    const { uploads } = platform;
    const digest = await digestOfFirst(platform, cwd);
    uploads.clear();
    platform.unfinished.set(digest, Buffer.alloc(1024, "x"));
    const { code, err } = await onTerminal(["deploy", cwd], { env: envFor(platform) });
    assert.equal(code, 0, err);
    assert.ok(uploads.has(digest));
  });

  test("a failed build shows what it printed, fails, and says what to do", async (t) => {
    platform.buildError = "index.mjs:1: unexpected token";
    const { code, out, err } = await colibri(["deploy"], { cwd: appFolder(t), env: envFor(platform) });
    assert.equal(code, 1);
    assert.equal(out, "");
    assert.match(err, /greet \| npm said something about greet/);
    assert.match(
      err,
      /error: App shop was not deployed; nothing that is live was changed.\n {2}greet: index.mjs:1: unexpected token/,
    );
    assert.match(err, /Fix the error named in the message/);
  });

  test("what is refused is named by the keys of colibri.yaml", async (t) => {
    const cases = [
      ["functions.f.config.runtime", "functions.f.runtime"],
      ["functions.f.config.memoryMiB", "functions.f.memory"],
      ["functions.f.config.policy.queue.timeoutMs", "functions.f.queue.timeout"],
      ["functions.f.config.policy.limits.bodyBytes", "functions.f.limits.body"],
      ["functions.f.config.policy.triggers[0]", "functions.f.triggers[0]"],
      ["functions.f.config.environment.memoryMiB", "functions.f.env.memoryMiB"],
      ["functions.f.source", "functions.f.source"],
    ] as const;
    const errors = cases.map(([path], index) => ({ path, message: `is wrong ${index}` }));
    platform.refusal = { status: 400, code: "request-invalid", errors };
    const { code, err } = await onTerminal(["deploy", appFolder(t)], { env: { ...envFor(platform), NO_COLOR: "1" } });
    assert.equal(code, 1);
    assert.ok(err.includes(`error: ${cases.map(([, key], index) => `${key}: is wrong ${index}`).join("; ")}\n`), err);
  });

  test("of a conflict it says what control says, and no more", async (t) => {
    platform.refusal = { status: 409, code: "conflict", errors: [{ path: "greet", message: "choose another path." }] };
    const { err } = await colibri(["deploy", appFolder(t)], { env: envFor(platform) });
    assert.match(err, /^error: greet: choose another path\.\n$/m);
    assert.doesNotMatch(err, /decide anew/);
  });

  test("--dry-run lists what would be uploaded and needs no platform", async (t) => {
    const cwd = appFolder(t);
    writeFileSync(join(cwd, "greet", ".colibriignore"), "secret.txt\n");
    writeFileSync(join(cwd, "greet", "secret.txt"), "x");
    const text = await colibri(["deploy", "--dry-run"], { cwd });
    assert.equal(text.code, 0, text.err);
    assert.match(text.out, /greet from greet: 2 files/);
    assert.match(text.out, /24 B {2}index.mjs/);
    assert.doesNotMatch(text.out, /secret/);
    const { functions } = JSON.parse((await colibri(["deploy", "--dry-run", "--json"], { cwd })).out);
    assert.deepEqual(
      functions[0].files.map((file: { path: string }) => file.path),
      [".colibriignore", "index.mjs"],
    );
  });

  test("--prune is asked for in the request", async (t) => {
    await onTerminal(["deploy", appFolder(t), "--prune"], { env: envFor(platform) });
    assert.equal(platform.deployments.get("D1")?.request.prune, true);
  });

  test("a bar shows uploads on a terminal only", async (t) => {
    const cwd = appFolder(t);
    writeFileSync(join(cwd, "greet", "big.bin"), Buffer.alloc(3_000_000, 7));
    const { err } = await onTerminal(["deploy", cwd], { env: envFor(platform) });
    assert.match(err, /greet: █+░* 2\.9 MiB of 2\.9 MiB/);
    assert.ok(err.includes("\r\u001b[K"), "the bar is not cleared");
    rmSync(join(cwd, "greet", "big.bin"));
    const plain = await colibri(["deploy", cwd], { env: envFor(platform) });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape is what must not be there
    assert.doesNotMatch(plain.err + plain.out, /\u001b|\r|█/);
  });

  test("Ctrl-C while following leaves the deployment to go on and says so", async (t) => {
    platform.cutAfter = 0; // never gets to the end
    const child = spawnColibri(["deploy"], { cwd: appFolder(t), env: envFor(platform) });
    let err = "";
    child.stderr!.on("data", (chunk) => {
      err += chunk;
      if (/uploaded/.test(err)) child.kill("SIGINT");
    });
    // The signal may come before the deployment is begun: both ways end with 130.
    const code = await new Promise((resolve) => child.on("exit", resolve));
    assert.equal(code, 130, err);
    assert.match(err, /Interrupted/);
  });

  test("Ctrl-C after the deployment has begun names it", async (t) => {
    platform.cutAfter = 0;
    const controller = new AbortController();
    const watch = setInterval(() => {
      if (platform.requests.some((line) => line.includes("/events"))) controller.abort(new Error("Ctrl-C"));
    }, 5);
    t.after(() => clearInterval(watch));
    const { code, err } = await onTerminal(["deploy", appFolder(t)], {
      env: envFor(platform),
      signal: controller.signal,
    });
    assert.equal(code, 130);
    assert.match(err, /Interrupted: deployment D1 goes on without being watched/);
    assert.match(err, /`npx colibri inspect shop`/);
  });

  test("the call that it proposes is that of the function's own cases, or else what its trigger claims", async (t) => {
    const greet = "{ runtime: nodejs, handler: index.mjs, triggers: [{ http: 'POST /greet/{name}' }] }";
    const cwd = appFolder(t, `app: shop\nfunctions:\n  greet: ${greet}\n`);
    const env = envFor(platform);
    writeFileSync(join(cwd, "colibri.test.yaml"), "functions: { greet: [{ name: no, expect: { status: 404 } }] }");
    const claimed = await onTerminal(["deploy", cwd], { env });
    assert.ok(claimed.out.includes(`called at:\n  POST ${platform.url}/greet/{name}\n`), claimed.out + claimed.err);
    platform.functions.clear();
    writeFileSync(
      join(cwd, "colibri.test.yaml"),
      "functions: { greet: [{ name: none, expect: { status: 404 } }, { name: one, request: { json: { a: 1 } }, expect: {} }] }",
    );
    const known = await onTerminal(["deploy", cwd], { env });
    assert.match(
      known.out,
      /Try it:\n {2}npx colibri invoke shop\/greet --data '\{"a":1\}'\n {2}npx colibri logs shop\/greet\n$/,
    );
  });

  test("a wrong token is known before anything is packed", async (t) => {
    const env = { ...envFor(platform), COLIBRI_TOKEN: `${TOKEN}x` };
    const { code, err } = await onTerminal(["deploy", appFolder(t)], { env });
    assert.equal(code, 4);
    assert.match(err, /does not accept the token from COLIBRI_TOKEN/);
    assert.deepEqual(platform.requests, ["GET /v1/tenants/default/apps/shop/functions?limit=1000"]);
  });
});

describe("deploy of a folder that can't be deployed", () => {
  test("without colibri.yaml: a minimal example", async (t) => {
    const { code, err } = await colibri(["deploy"], { cwd: temporaryFolder(t) });
    assert.equal(code, 1);
    assert.match(err, /There is no colibri.yaml in this folder/);
    assert.match(err, /^ {4}app: hello$/m);
  });

  test("inside an app: names the folder above", async (t) => {
    const { code, err } = await colibri(["deploy"], { cwd: join(appFolder(t), "greet") });
    assert.equal(code, 1);
    assert.match(err, /in a folder above: colibri deploy \.\.\n/);
  });

  test("the example's own text is a valid configuration", async (t) => {
    const { err } = await colibri(["deploy"], { cwd: temporaryFolder(t) });
    const yaml = /(app: hello\n[\s\S]*?)\n\s*and hello/.exec(err.replace(/^ {4}/gm, ""))?.[1];
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, "colibri.yaml"), yaml ?? "");
    mkdirSync(join(folder, "hello"));
    writeFileSync(join(folder, "hello", "index.mjs"), "export default () => 1;\n");
    const { code, err: problem } = await colibri(["deploy", "--dry-run"], { cwd: folder });
    assert.equal(code, 0, problem);
  });

  test("mistakes are shown with line and caret", async (t) => {
    const cwd = appFolder(t, YAML.replace("handler:", "handlr:"));
    const { code, err } = await colibri(["deploy"], { cwd });
    assert.equal(code, 1);
    assert.match(err, /colibri.yaml:3:\d+: .*handlr/);
    assert.match(err, / 3 \| .*handlr.*\n.*\^/);
  });

  test("no such folder, a file, an empty source", async (t) => {
    const cwd = appFolder(t);
    assert.match((await colibri(["deploy", "nowhere"], { cwd })).err, /There is no folder nowhere/);
    assert.match((await colibri(["deploy", "colibri.yaml"], { cwd })).err, /colibri.yaml is not a folder/);
    writeFileSync(join(cwd, "greet", ".colibriignore"), "*\n");
    assert.match((await colibri(["deploy", "--dry-run"], { cwd })).err, /greet: the folder greet has no files/);
  });
});
