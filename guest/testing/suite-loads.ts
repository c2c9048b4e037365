import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Loaded, LoadOptions, Ready } from "./driven-control.ts";
import type { DrivenFunction } from "./guest-driver.ts";
import type { GuestSuite } from "./guest-suite.ts";
import { packTar, type TarEntry } from "./pack-tar.ts";

/** Loading: by mount and by bytes, the environment, and each way it fails. */
export function loadTests(suite: GuestSuite): void {
  const { functions, execution } = suite;

  async function failLoad(t: Parameters<GuestSuite["start"]>[0], given: DrivenFunction, options: LoadOptions = {}) {
    const guest = await suite.start(t);
    const control = await guest.control();
    const loaded = await control.load(given.handler, guest.writeFiles(given.files), { execution, ...options });
    assert.ok(loaded.kind === "failed", "it must not load");
    assert.equal(loaded.failed.phase, "load");
    assert.equal(loaded.failed.code, "load-failed");
    assert.equal((await guest.control()).hello.state, "failed");
    return loaded.failed.error;
  }

  test("a missing file is named, with what there is", async (t) => {
    const error = await failLoad(t, { handler: "absent.txt", files: { "present.txt": "x" } });
    assert.match(error.message, /absent\.txt/);
    assert.match(error.message, /present\.txt/);
  });

  test("a missing export is named, with what there is", async (t) => {
    const error = await failLoad(t, functions.missingExport);
    assert.match(error.message, functions.missingExport.expected);
  });

  test("a syntax error names file and line", async (t) => {
    const error = await failLoad(t, functions.syntaxError);
    assert.equal(error.name, "SyntaxError");
    assert.match(error.message, functions.syntaxError.place);
  });

  test("an exception at load keeps its name and message", async (t) => {
    const error = await failLoad(t, functions.throwsAtLoad);
    assert.equal(error.name, "TypeError");
    assert.match(error.message, /broken at load/);
    assert.ok(error.stack);
  });

  test("what was thrown at load and in init is in the log before it is told, once, with paths relative to the bundle", async (t) => {
    for (const [given, thrown] of [
      [functions.throwsAtLoad, "broken at load"],
      [functions.initFails, "not yet"],
    ] as const) {
      const guest = await suite.start(t);
      const control = await guest.control();
      const root = guest.writeFiles(given.files);
      let outcome: Loaded | Ready = await control.load(given.handler, root, { execution });
      if (outcome.kind === "loaded") outcome = await control.init();
      assert.equal(outcome.kind, "failed");
      await control.ping();
      const texts = control.logs.map(({ text }) => text).filter((text) => text.includes(thrown));
      assert.equal(control.logs.length, control.loggedBeforeFailed, "more was logged after it was told");
      assert.equal(texts.length, 1, JSON.stringify(texts));
      assert.ok(texts[0]!.includes(given.handler), texts[0]);
      assert.ok(!texts[0]!.includes(root) && !texts[0]!.includes(`/${given.handler}`), texts[0]);
      assert.ok(!guest.stderr.includes(thrown), guest.stderr);
    }
  });

  test("a handler outside of the bundle is refused, also when it is there", async (t) => {
    const guest = await suite.start(t);
    guest.writeFiles(functions.echo.files, "beside");
    const control = await guest.control();
    const handler = `../beside/${functions.echo.handler}`;
    const loaded = await control.load(handler, guest.writeFiles(functions.echo.files), { execution });
    assert.ok(loaded.kind === "failed", "it must not load");
    assert.ok(loaded.failed.error.message.includes("../beside"), loaded.failed.error.message);
  });

  const { lacks } = suite;
  if (lacks !== undefined)
    test("a way of execution it has not is refused with a message that says which it has", async (t) => {
      const error = await failLoad(t, functions.echo, { execution: lacks });
      assert.match(error.message, new RegExp(lacks));
      assert.match(error.message, new RegExp(execution));
    });

  test("sees the environment of LOAD and nothing of the guest's own but PATH, HOME, TMPDIR and the locale", async (t) => {
    const { guest, data } = await suite.ready(t, functions.environment, {
      environment: { GREETING: "grüße", EMPTY: "" },
    });
    const seen = JSON.parse((await data.json({})).body.toString());
    assert.equal(seen.GREETING, "grüße");
    assert.equal(seen.EMPTY, "");
    assert.equal(seen.HOME, join(guest.folder, "tmp"));
    for (const name of Object.keys(seen))
      assert.match(name, /^(GREETING|EMPTY|PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+)$/, `${name} must not be there`);
  });

  test("the bundle's bytes over the link: unpacked, verified, loaded", async (t) => {
    const guest = await suite.start(t);
    const control = await guest.control();
    const tar = packTar({
      ...functions.echo.files,
      [`deep/${"d".repeat(90)}/${"f".repeat(120)}.txt`]: "x".repeat(200_000),
    });
    const code = { kind: "bytes", bytes: tar.length, digest: digestOf(tar) } as const;
    control.sendLoad(functions.echo.handler, "", { execution, code });
    control.sendCode(tar);
    assert.equal((await control.loaded()).kind, "loaded");
    await control.init();
    assert.equal((await (await guest.data()).json("from bytes")).body.toString(), "from bytes");
    assert.ok(existsSync(join(guest.folder, "code", "deep", "d".repeat(90), `${"f".repeat(120)}.txt`)));
  });

  test("links of a bundle lead where they did, such as those of node_modules/.bin", async (t) => {
    const guest = await suite.start(t);
    const control = await guest.control();
    const long = "l".repeat(120);
    const tar = packTar({ ...functions.echo.files, "node_modules/tool/run.js": "run", [`${long}/run.js`]: "long" }, [
      { path: "node_modules/.bin/tool", type: "2", link: "../tool/run.js" },
      { path: "node_modules/.bin/again", type: "2", link: "tool" },
      { path: "node_modules/.bin/long", type: "2", link: `../../${long}/run.js` },
      { path: "hard/run.js", type: "1", link: "node_modules/tool/run.js" },
    ]);
    const code = { kind: "bytes", bytes: tar.length, digest: digestOf(tar) } as const;
    control.sendLoad(functions.echo.handler, "", { execution, code });
    control.sendCode(tar);
    assert.equal((await control.loaded()).kind, "loaded");
    const read = (path: string) => readFileSync(join(guest.folder, "code", path), "utf8");
    assert.equal(read("node_modules/.bin/tool"), "run");
    assert.equal(read("node_modules/.bin/again"), "run");
    assert.equal(read("node_modules/.bin/long"), "long");
    assert.equal(read("hard/run.js"), "run");
    assert.equal(readlinkSync(join(guest.folder, "code/node_modules/.bin/tool")), "../tool/run.js");
  });

  /** What it says of it, or "" where it was loaded. */
  async function refusal(t: Parameters<GuestSuite["start"]>[0], entries: readonly TarEntry[]): Promise<string> {
    const guest = await suite.start(t);
    const control = await guest.control();
    const tar = packTar(functions.echo.files, entries);
    const code = { kind: "bytes", bytes: tar.length, digest: digestOf(tar) } as const;
    control.sendLoad(functions.echo.handler, "", { execution, code });
    control.sendCode(tar);
    const loaded = await control.loaded();
    assert.deepEqual(
      readdirSync(guest.folder).filter((name) => /code|escaped/.test(name)).length,
      loaded.kind === "loaded" ? 1 : 0,
    );
    return loaded.kind === "failed" ? loaded.failed.error.message : "";
  }

  const link = (path: string, to: string): TarEntry => ({ path, type: "2", link: to });
  const hard = (path: string, to: string): TarEntry => ({ path, type: "1", link: to });
  const file = (path: string): TarEntry => ({ path, type: "0" });
  const HOSTILE: Readonly<Record<string, readonly TarEntry[]>> = {
    "a link to an absolute path": [link("link", "/etc/passwd")],
    "a link out of the root": [link("link", "../escaped")],
    "a link out from below": [link("a/b/link", "../../../escaped")],
    "a link without a target": [link("link", "")],
    "a link that goes up after a name": [link("a/link", "x/../../../escaped")],
    "two links that lead out together": [link("a/b/c/root", "../../.."), link("a/b/c/out", "root/../escaped")],
    "a write through a link": [link("a", "."), file("a/escaped.txt")],
    "a folder through a link": [link("a", "."), { path: "a/b/", type: "5" }],
    "a folder over a link": [link("a", "."), { path: "a/", type: "5" }],
    "a link through a link": [link("a", "."), link("a/b", "..")],
    "a file over a link": [link("a", "b"), file("a")],
    "a link over a file": [file("a"), link("a", "b")],
    "a hard link over a file": [file("a"), file("b"), hard("a", "b")],
    "a hard link to what is outside": [hard("a", "../../escaped")],
    "a hard link to an absolute path": [hard("a", "/etc/passwd")],
    "a hard link to nothing before it": [hard("a", "later"), file("later")],
    "a hard link to a link": [link("a", "b"), hard("c", "a")],
    "a hard link through a link": [file("x"), link("a", "."), hard("c", "a/x")],
    "a device": [{ path: "a", type: "3" }],
  };

  test("hostile links, and what would be written through one, are refused and leave nothing", async (t) => {
    for (const [name, entries] of Object.entries(HOSTILE))
      assert.match(
        await refusal(t, entries),
        /link|twice|leaves|out of its folder|no file|something else|device/,
        name,
      );
  });

  test("bytes with another digest, or that lead out of the folder, are not loaded and leave nothing", async (t) => {
    const good = packTar(functions.echo.files);
    const escaping = packTar({ ...functions.echo.files, "../escaped.txt": "x" });
    const link = packTar(functions.echo.files, [{ path: "link", type: "2", link: "/etc/passwd" }]);
    const cases = [
      { tar: good, digest: `sha256:${"0".repeat(64)}`, bytes: good.length, says: /digest/ },
      { tar: escaping, digest: digestOf(escaping), bytes: escaping.length, says: /escaped\.txt/ },
      { tar: link, digest: digestOf(link), bytes: link.length, says: /link/ },
      { tar: good, digest: digestOf(good), bytes: good.length - 512, says: /bytes/ },
      { tar: good.subarray(0, 700), digest: digestOf(good.subarray(0, 700)), bytes: 700, says: /end|cut|short/i },
    ];
    for (const { tar, digest, bytes, says } of cases) {
      const guest = await suite.start(t);
      const control = await guest.control();
      control.sendLoad(functions.echo.handler, "", { execution, code: { kind: "bytes", bytes, digest } });
      control.sendCode(tar);
      const loaded = await control.loaded();
      assert.ok(loaded.kind === "failed", `${says} must not load`);
      assert.equal(loaded.failed.code, "load-failed");
      assert.match(loaded.failed.error.message, says);
      assert.ok(!existsSync(join(guest.folder, "code")), "nothing half-unpacked is left");
      assert.ok(!existsSync(join(guest.folder, "escaped.txt")));
    }
  });
}

function digestOf(tar: Buffer): string {
  return `sha256:${createHash("sha256").update(tar).digest("hex")}`;
}
