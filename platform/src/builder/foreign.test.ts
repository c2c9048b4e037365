import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { type Files, publishNpm, type Workshop } from "./builder.fixture.ts";
import { exists } from "./exists.ts";
import type { PinnedTool } from "./node/pinned-tools.ts";
import { failureOf, HANDLER, inShop, registry } from "./shop.fixture.ts";
import { openToolshop, TOOLS, type Toolshop } from "./tools.fixture.ts";

let opened: Promise<Toolshop> | undefined;
after(async () => (await opened)?.close());

async function lockOf(tool: PinnedTool, files: Files): Promise<Files> {
  opened ??= openToolshop(registry);
  return (await opened).lockOf(tool, files);
}

const titleOf = ({ manager, version }: PinnedTool) => `${manager} ${version}`;
const again = (name: string) => new RegExp(`run "${name} install" in the function's folder and deploy again`);

function manifestOf(more: object): Files {
  return { "package.json": JSON.stringify({ name: "f", version: "1.0.0", ...more }), ...(HANDLER as Files) };
}

const MARK = 'require("node:fs").writeFileSync(__dirname + "/mark", "ran");';

/** A package of each sort: plain, with an install script, for development, and a binary for this and for another platform. */
async function publishAll(): Promise<object> {
  await publishNpm(registry, "deep", { "index.js": "module.exports = 1;\n" });
  await publishNpm(
    registry,
    "tiny",
    { "index.js": "module.exports = 7;\n", "cli.js": "" },
    {
      dependencies: { deep: "1.0.0" },
      bin: { tiny: "cli.js" },
    },
  );
  await publishNpm(registry, "loud", { "install.js": MARK }, { scripts: { postinstall: "node install.js" } });
  await publishNpm(registry, "tester", { "index.js": "" });
  await publishNpm(registry, "@bin/here", { "x.node": "ELF" }, { os: ["linux"] });
  await publishNpm(registry, "@bin/there", { "x.node": "PE" }, { os: ["win32"] });
  return {
    dependencies: { tiny: "^1.0.0", loud: "1.0.0" },
    devDependencies: { tester: "1.0.0" },
    optionalDependencies: { "@bin/here": "1.0.0", "@bin/there": "1.0.0" },
  };
}

/** Each family is tried in full; of its other versions, that they install. */
const TRIED = ["pnpm 10", "yarn 1", "yarn 4.18"];
const PATIENCE = { npm_config_fetch_timeout: "1500", npm_config_fetch_retries: "0" };

describe("pnpm and Yarn", () => {
  for (const tool of TOOLS)
    test(titleOf(tool), (context) =>
      // One shop, so that the tool is fetched once.
      inShop(
        async (shop) => {
          const run = (title: string, part: (shop: Workshop, tool: PinnedTool) => Promise<void>) =>
            context.test(title, () => part(shop, tool));
          await run("installs what its lock file says, without scripts, the same every time", installs);
          if (!TRIED.some((title) => titleOf(tool).startsWith(title))) return;
          await run("runs an install script where it is named", runsNamedScripts);
          await run("runs nothing that the function brings: hooks, plugins, programs in its place", runsNoHooks);
          await run("tells apart what does not go together, what is gone and what is forged", tellsApart);
          // Yarn 1 tries five times, whatever it is told.
          if (tool.kind !== "classic") await run("does not wait for ever for a registry that hangs", givesUp);
        },
        { environment: PATIENCE },
      ),
    );
});

async function installs(shop: Workshop, tool: PinnedTool): Promise<void> {
  const files = withPublicAddresses(await lockOf(tool, lockless(tool, await publishAll())));
  const first = await shop.build(files);
  const names = [...(await shop.open(first)).keys()].filter((name) => name.startsWith("node_modules/"));
  assert.deepEqual(
    names.filter((name) => !name.endsWith("/package.json")),
    [
      "node_modules/.bin/tiny",
      "node_modules/@bin/here/x.node",
      "node_modules/deep/index.js",
      "node_modules/loud/install.js",
      "node_modules/tiny/cli.js",
      "node_modules/tiny/index.js",
    ],
  );
  assert.ok(shop.steps.some((step) => step.startsWith("Skipped the install scripts of loud: name them")));
  const asked = registry.asked.length;
  assert.deepEqual(await shop.build(files), first);
  assert.equal(registry.asked.length, asked, "the registry was asked again");
  await forgetPackages(shop);
  assert.deepEqual(await shop.build(files), first, "another build of the same lock file is another bundle");
  assert.equal(shop.steps.filter((step) => step === `Fetching ${titleOf(tool)}`).length, 1);
}

async function runsNamedScripts(shop: Workshop, tool: PinnedTool): Promise<void> {
  const files = await lockOf(tool, lockless(tool, await publishAll()));
  const bundle = await shop.open(await shop.build(files, { build: { installScripts: ["loud"] } }));
  assert.equal(bundle.get("node_modules/loud/mark"), "ran");
  await forgetPackages(shop);
  const other = await shop.open(await shop.build(files));
  assert.equal(other.has("node_modules/loud/mark"), false, "the tool's own store has what the script made");
}

async function runsNoHooks(shop: Workshop, tool: PinnedTool): Promise<void> {
  await publishNpm(registry, "calm", { "index.js": "1" });
  const mark = join(shop.folder, "cache", "mark");
  const evil = `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "");`;
  const scripts = { preinstall: "node evil.cjs", postinstall: "node evil.cjs", prepare: "node evil.cjs" };
  const hooks = {
    "evil.cjs": evil,
    ".pnpmfile.cjs": evil,
    ".yarn/plugins/evil.cjs": evil,
    ".yarn/releases/yarn.cjs": evil,
    ".yarnrc": 'yarn-path "./evil.cjs"\n',
    ".yarnrc.yml": "yarnPath: ./evil.cjs\nplugins: [./.yarn/plugins/evil.cjs]\nnodeLinker: pnp\nenableScripts: true\n",
    "pnpm-workspace.yaml": "pnpmfile: ./evil.cjs\nscriptShell: ./evil.cjs\nmodulesDir: ../../out\n",
  };
  const dependencies = { calm: "1.0.0" };
  const files = await lockOf(tool, lockless(tool, { dependencies }));
  const bundle = await shop.open(await shop.build({ ...files, ...hooks, ...manifestOf({ dependencies, scripts }) }));
  assert.ok(bundle.has("node_modules/calm/index.js"));
  assert.equal(await exists(mark), false, "it ran");
  const isYarn = [...bundle.keys()].filter((name) => name.startsWith(".yarn"));
  if (tool.manager === "yarn") assert.deepEqual(isYarn, []);
}

async function tellsApart(shop: Workshop, tool: PinnedTool): Promise<void> {
  await publishNpm(registry, "fickle", { "index.js": "1" });
  await publishNpm(registry, "other", { "index.js": "1" });
  const files = await lockOf(tool, lockless(tool, { dependencies: { fickle: "1.0.0" } }));
  const changed = { ...files, ...manifestOf({ dependencies: { fickle: "1.0.0", other: "1.0.0" } }) };
  const outdated = await failureOf(shop.build(changed));
  assert.match(outdated, /^dependencies-failed: (?:pnpm-lock.yaml|yarn.lock) does not match package.json \(/);
  assert.match(outdated, again(tool.manager));
  await publishNpm(registry, "fickle", { "index.js": "2" });
  assert.match(await failureOf(shop.build(files)), /^dependencies-failed: A package is not what \S+ says it is/);
  registry.pages.delete("/fickle/-/fickle-1.0.0.tgz");
  assert.match(
    await failureOf(shop.build(files)),
    /^dependencies-failed: A package of \S+ is not in the registry: .*(?:404|fickle)/,
  );
}

async function givesUp(shop: Workshop, tool: PinnedTool): Promise<void> {
  await publishNpm(registry, "slow", { "index.js": "1" });
  const files = await lockOf(tool, lockless(tool, { dependencies: { slow: "1.0.0" } }));
  registry.hanging.add("/slow/-/slow-1.0.0.tgz");
  try {
    assert.match(
      await failureOf(shop.build(files)),
      /^dependencies-failed: The package registry can't be reached from the platform's host \(/,
    );
  } finally {
    registry.hanging.clear();
  }
}

/** As Yarn 1 writes them for those who use the public registry. */
function withPublicAddresses(files: Files): Files {
  const lock = files["yarn.lock"];
  if (lock === undefined) return files;
  return { ...files, "yarn.lock": String(lock).replaceAll(`"${registry.url}/`, '"https://registry.yarnpkg.com/') };
}

/** Tools stay. */
async function forgetPackages({ folder }: Workshop): Promise<void> {
  const installed = join(folder, "cache/acme/installed");
  for (const name of await readdir(installed))
    if (name.startsWith("node-")) await rm(join(installed, name), { recursive: true });
}

function lockless(tool: PinnedTool, more: object): Files {
  return { ...manifestOf(more), ...(tool.kind === "berry" ? { "yarn.lock": "" } : {}) };
}

describe("what a function brings for pnpm and Yarn", () => {
  test("must come from a registry", () =>
    inShop(async (shop) => {
      const v9 = (text: string) => `lockfileVersion: '9.0'\n\nimporters:\n\n  .: {}\n\n${text}`;
      const berry = (text: string) => `__metadata:\n  version: 8\n\n${text}`;
      const cases: [string, object, Files][] = [
        ["exec:./x.js", { dependencies: { x: "exec:./x.js" } }, { "yarn.lock": berry("") }],
        ["workspace:*", { dependencies: { x: "workspace:*" } }, { "pnpm-lock.yaml": v9("") }],
        ["user/repo", { devDependencies: { x: "user/repo" } }, { "yarn.lock": "# yarn lockfile v1\n" }],
        ["exec:./x.js", {}, { "yarn.lock": berry('"y@npm:1":\n  dependencies:\n    x: "exec:./x.js"\n') }],
        [
          "git+https://h/x.git",
          {},
          { "yarn.lock": '# yarn lockfile v1\n\nx@1:\n  resolved "git+https://h/x.git#1"\n' },
        ],
        ["https://h/x.git", {}, { "yarn.lock": '# yarn lockfile v1\n\nx@1:\n  resolved "https://h/x.git#1"\n' }],
        ["file:../x", {}, { "pnpm-lock.yaml": v9("packages:\n  x@file:../x:\n    resolution: {type: directory}\n") }],
        [
          "{commit: 1, repo: ",
          {},
          { "pnpm-lock.yaml": v9("packages:\n  x@1:\n    resolution: {commit: 1, repo: https://h/x, type: git}\n") },
        ],
      ];
      for (const [what, more, lock] of cases) {
        const failure = await failureOf(shop.build({ ...manifestOf(more), ...lock }));
        assert.match(
          failure,
          /^dependencies-failed: \S+ takes a package from a folder, from git or from a script \(/,
          what,
        );
        assert.ok(failure.includes(what), `${what}: ${failure}`);
      }
      assert.deepEqual(shop.output, []);
    }));

  test("must be one lock file, of a known format, that goes with packageManager", () =>
    inShop(async (shop) => {
      const none = { dependencies: { tiny: "1.0.0" } };
      const [v9, v1] = ["lockfileVersion: '9.0'\n", "# yarn lockfile v1\n"];
      const cases: [RegExp, object, Files][] = [
        [/two lock files, pnpm-lock.yaml and yarn.lock, .*remove one/, none, { "pnpm-lock.yaml": v9, "yarn.lock": v1 }],
        [
          /names pnpm in packageManager, but the lock file is yarn.lock: run "pnpm install"/,
          { packageManager: "pnpm@10.0.0" },
          { "yarn.lock": v1 },
        ],
        [
          /names yarn 4 in packageManager, but yarn.lock was written by yarn 1 \(format v1\)/,
          { packageManager: "yarn@4.1.0" },
          { "yarn.lock": v1 },
        ],
        [
          /names pnpm 8 in packageManager, but pnpm-lock.yaml was written by pnpm 9, 10, 11, 12/,
          { packageManager: "pnpm@8.1.0" },
          { "pnpm-lock.yaml": v9 },
        ],
        [
          /pnpm-lock.yaml has the format 5.4: run "pnpm install" with pnpm 8, 9, 10, 11, 12/,
          none,
          { "pnpm-lock.yaml": "lockfileVersion: 5.4\n" },
        ],
        [/yarn.lock has no format that is known/, none, { "yarn.lock": "nonsense\n" }],
        [/packageManager in package.json is "10": write a name/, { packageManager: "10" }, { "pnpm-lock.yaml": v9 }],
        [
          /is that of a workspace with several packages/,
          {},
          { "pnpm-lock.yaml": `${v9}\nimporters:\n\n  .: {}\n\n  packages/a:\n    x: 1\n` },
        ],
        [/is that of a workspace with several packages/, { workspaces: ["x"] }, { "yarn.lock": v1 }],
        [/no package-lock.json, pnpm-lock.yaml or yarn.lock \(bun.lock is not read\)/, none, { "bun.lock": "" }],
      ];
      for (const [message, more, lock] of cases) {
        const failure = await failureOf(shop.build({ ...manifestOf(more), ...lock }));
        assert.match(failure, /^dependencies-failed: /);
        assert.match(failure, message);
      }
    }));

  test("a registry without the tool is said to lack it", () =>
    inShop(async (shop) => {
      const page = registry.pages.get("/pnpm")!;
      registry.pages.delete("/pnpm");
      try {
        const lock = { "pnpm-lock.yaml": "lockfileVersion: '9.0'\n\nimporters:\n\n  .: {}\n" };
        assert.match(
          await failureOf(shop.build({ ...manifestOf({}), ...lock })),
          /^dependencies-failed: pnpm 10\.\S+ could not be fetched: the package registry of the platform's host must have pnpm@10/,
        );
      } finally {
        registry.pages.set("/pnpm", page);
      }
    }));
});
