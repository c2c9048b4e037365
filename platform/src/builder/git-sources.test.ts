import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { Reaper } from "#base/reaper.ts";
import { type Files, locked, publishNpm } from "./builder.fixture.ts";
import { exists } from "./exists.ts";
import { withoutGit } from "./node/no-git.ts";
import { runTool } from "./run-tool.ts";
import { failureOf, HANDLER, inShop, registry } from "./shop.fixture.ts";

/** A git repository at an address of this machine. Its own .npmrc, obeyed by an npm that runs in a clone, would leave the mark. */
interface Repository {
  readonly address: string;
  readonly mark: string;
}

let folder: string;
let repository: Repository;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "colibri-git-"));
  repository = await serveRepository();
});
after(() => rm(folder, { recursive: true, force: true }));

async function serveRepository(): Promise<Repository> {
  const [mark, address] = [join(folder, "mark"), `git+${registry.url}/evil.git`];
  const git = (...args: string[]) =>
    promisify(execFile)("git", ["-c", "user.name=x", "-c", "user.email=x@x", ...args], { cwd: folder });
  await git("init", "-q", folder);
  const manifest = {
    ...{ name: "x", version: "1.0.0", dependencies: { y: address } },
    scripts: { prepare: `touch ${mark}`, postinstall: `touch ${mark}` },
  };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  await writeFile(join(folder, ".npmrc"), "git=./evil.sh\nallow-git=all\nignore-scripts=false\n");
  await writeFile(join(folder, "evil.sh"), `#!/bin/sh\ntouch ${mark}\nexit 1\n`);
  await chmod(join(folder, "evil.sh"), 0o755);
  await git("add", ".");
  await git("commit", "-q", "-m", "x");
  await git("update-server-info");
  for (const entry of await readdir(join(folder, ".git"), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const content = await readFile(path);
    registry.pages.set(`/evil.git/${path.slice(join(folder, ".git/").length)}`, content);
  }
  registry.pages.set("/evil.git/info/refs?service=git-upload-pack", registry.pages.get("/evil.git/info/refs")!);
  return { address, mark };
}

const askedForGit = () => registry.asked.some((path) => path.startsWith("/evil.git"));

describe("packages from git", () => {
  test("a repository is one: its code would run if npm were let", async () => {
    await promisify(execFile)("git", ["clone", "-q", repository.address.slice(4), join(folder, "clone")]);
    assert.ok(await exists(join(folder, "clone/evil.sh")));
    registry.asked.length = 0;
  });

  test("are refused in a lock file before npm runs", () =>
    inShop(async (shop) => {
      const { address, mark } = repository;
      const sources = [
        ...[address, `${address}#0123456789012345678901234567890123456789`, address.replace("git+http", "git")],
        ...["git+https://h/x.git", "git+ssh://git@h/x.git", "git@h:x/y.git", "github:a/b", "a/b", "a/b.tgz"],
        ...["https://github.com/a/b.tgz", "http://www.github.com/a/b/tree/x.tgz", "https://gitlab.com/a/b/x.tgz"],
        ...[
          "https://bitbucket.org/a/b/archive/x.tgz",
          "https://h/x.git",
          " https://h/x.tgz",
          "http://git\thub.com/a/b",
        ],
        ...["npm:x@git+https://h/x.git", "ssh://h/x", "gitlab:a/b", "gist:123"],
      ];
      for (const source of sources)
        for (const entry of [{ version: "1.0.0", resolved: source }, { version: source }]) {
          const failure = await failureOf(shop.build({ ...HANDLER, ...locked({ x: entry }) }));
          assert.match(
            failure,
            /^dependencies-failed: package-lock\.json \("packages" → "node_modules\/x" → "\w+"\) takes/,
          );
          assert.ok(
            failure.includes(
              `the package x from ${JSON.stringify(source).replace("//git@", "//…@")}: it must come from a registry`,
            ),
            failure,
          );
          assert.match(failure, /Publish it, or put its files into the function's folder/);
        }
      for (const entry of [
        { version: "1.0.0", resolved: [address] },
        { version: [address] },
        { version: "1", name: address },
      ])
        assert.match(
          await failureOf(shop.build({ ...HANDLER, ...locked({ x: entry }) })),
          /^dependencies-failed: package-lock/,
        );
      const inName = { [`x@${address.split("/").at(-1)}`]: { version: "1.0.0", resolved: `${registry.url}/x.tgz` } };
      assert.match(await failureOf(shop.build({ ...HANDLER, ...locked(inName) })), /is of no package's name/);
      const below = { "a/node_modules/b": { version: "1.0.0", resolved: address } };
      assert.match(await failureOf(shop.build({ ...HANDLER, ...locked(below) })), /the package b from "git\+http/);
      assert.deepEqual([shop.output, askedForGit(), await exists(mark)], [[], false, false]);
    }));

  test("are refused in package.json, overrides included", () =>
    inShop(async (shop) => {
      const { address, mark } = repository;
      const manifests = [
        ...["dependencies", "optionalDependencies", "devDependencies", "peerDependencies", "overrides"].map(
          (group) => ({
            [group]: { x: address },
          }),
        ),
        { overrides: { a: { ".": "1", x: address } } },
      ];
      for (const more of manifests) {
        const manifest = { name: "f", version: "1.0.0", ...more };
        const files = { ...locked({}), "package.json": JSON.stringify(manifest) };
        const failure = await failureOf(shop.build({ ...HANDLER, ...files }));
        assert.match(failure, /^dependencies-failed: package\.json \(.*"x"\) takes the package x from "git\+http:/);
      }
      const unlocked = { "package.json": JSON.stringify({ dependencies: { x: address } }) };
      assert.match(await failureOf(shop.build({ ...HANDLER, ...unlocked })), /there is no package-lock\.json/);
      assert.deepEqual([shop.output, askedForGit(), await exists(mark)], [[], false, false]);
    }));

  test("do not come by what a package or another lock file says, nor does its .npmrc count", () =>
    inShop(async (shop) => {
      const { address, mark } = repository;
      const sub = { version: "1.0.0", resolved: address };
      const shrinkwrap = {
        ...{ name: "wrapped", version: "1.0.0", lockfileVersion: 3, requires: true },
        packages: { "": { name: "wrapped", version: "1.0.0", dependencies: { x: address } }, "node_modules/x": sub },
      };
      const wrapped = await publishNpm(
        registry,
        "wrapped",
        {
          "npm-shrinkwrap.json": JSON.stringify(shrinkwrap),
          ".npmrc": "git=./evil.sh\n",
          "evil.sh": `#!/bin/sh\ntouch ${mark}\n`,
        },
        { dependencies: { x: address } },
      );
      const refused = /^dependencies-failed: .*git/;
      const cases: [RegExp, Files][] = [
        // npm leaves it out.
        [/^it was built$/, locked({ wrapped: { ...wrapped, hasShrinkwrap: true } })],
        [refused, locked({ wrapped: { ...wrapped, dependencies: { x: address } } })],
        [
          refused,
          {
            ...locked({ x: { version: "1.0.0" } }),
            "yarn.lock": `# yarn lockfile v1\n\nx@1.0.0:\n  version "1.0.0"\n  resolved "${address}"\n`,
          },
        ],
      ];
      for (const [expected, files] of cases) {
        const manifest = { ...JSON.parse(String(files["package.json"])), packageManager: "npm@11.0.0" };
        const built = shop.build({ ...HANDLER, ...files, "package.json": JSON.stringify(manifest) });
        const outcome = await failureOf(built).catch(({ message }: Error) => message);
        assert.match(outcome, expected);
        assert.deepEqual([askedForGit(), await exists(mark)], [false, false], outcome);
      }
      // What a package brings and does not ask for is a file like others.
      await shop
        .build({ ...HANDLER, ...locked({ wrapped: { ...wrapped, bundleDependencies: ["x"] } }) })
        .catch(() => {});
      assert.deepEqual([askedForGit(), await exists(mark)], [false, false]);
    }));

  test("are refused by the program that stands in for git, which no .npmrc replaces", async () => {
    const { address, mark } = repository;
    const variables = await withoutGit(folder, { PATH: process.env.PATH!, HOME: folder });
    // As an npm that does not know allow-git.
    const { npm_config_allow_git: _, ...environment } = variables;
    const lines: string[] = [];
    const clone = await mkdtemp(join(folder, "clone-"));
    for (const name of [".npmrc", "package.json", "evil.sh"]) {
      await writeFile(join(clone, name), await readFile(join(folder, name)));
      await chmod(join(clone, name), 0o755);
    }
    const tool = { name: "npm", command: ["npm"], args: ["install"], folder: clone, environment };
    const { clock, signal } = { clock: createSystemClock(), signal: AbortSignal.timeout(60_000) };
    const reaper = new Reaper({ clock, log: createSilentLog() });
    const outcome = await runTool(tool, { clock, reaper, folder, signal, output: (line) => void lines.push(line) });
    assert.ok(outcome.kind === "exited" && outcome.code !== 0);
    assert.match(lines.join("\n"), /Packages are not taken from git: publish it/);
    assert.deepEqual([askedForGit(), await exists(mark)], [false, false], address);
  });
});
