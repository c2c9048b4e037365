import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { locked, publishNpm, publishWheel, type Registry, startRegistry } from "#platform/builder/builder.fixture.ts";
import { DevRun } from "./dev-run.ts";
import { until } from "./platform.ts";

const CONFIG = `app: shop
functions:
  plain: { runtime: nodejs }
  snake: { runtime: python }
  own: { runtime: python }
  forked: { runtime: python, execution: process }
  envy: { runtime: python }
`;

describe("colibri dev with packages", () => {
  let registry: Registry;
  let run: DevRun;
  before(async () => {
    registry = await startRegistry();
    const left = await publishNpm(registry, "left", { "index.js": `module.exports = "left";` });
    await publishWheel(registry, "right", "word = 'right'");
    run = new DevRun(
      {
        "colibri.yaml": CONFIG,
        ...inFolder("plain", locked({ left })),
        "plain/index.mjs": `import left from "left";\nexport default () => left;\n`,
        "snake/requirements.txt": "right==1.0\n",
        "snake/handler.py": "import right\ndef handler(input, context):\n    return right.word\n",
        "forked/requirements.txt": "right==1.0\n",
        "forked/handler.py": "import right\ndef handler(input, context):\n    return right.word\n",
        "envy/handler.py": "import hers\ndef handler(input, context):\n    return hers.word\n",
        "own/requirements.txt": "nowhere-to-be-found==1.0\n",
        "own/_packages/mine.py": "word = 'mine'\n",
        "own/handler.py": "import mine\ndef handler(input, context):\n    return mine.word\n",
      },
      { npm_config_registry: registry.url, PIP_INDEX_URL: `${registry.url}/simple` },
    );
    const environment = join(run.app, "envy", ".venv");
    execFileSync("python3", ["-m", "venv", "--without-pip", environment]);
    const [version] = readdirSync(join(environment, "lib"));
    writeFileSync(join(environment, "lib", version!, "site-packages", "hers.py"), "word = 'hers'\n");
    await run.start();
  });
  after(async () => {
    await run?.close();
    await registry.close();
  });

  test("takes what a folder has, and installs what it lacks as a deployment would", async () => {
    assert.equal((await run.call("/fn/shop/own")).text, "mine");
    assert.equal((await run.call("/fn/shop/plain")).text, "left");
    assert.equal((await run.call("/fn/shop/snake")).text, "right");
    assert.equal((await run.call("/fn/shop/forked")).text, "right");
    assert.equal((await run.call("/fn/shop/envy")).text, "hers", "a virtual environment is used as it is");
    await run.says(/plain +· Installing the packages of package-lock\.json/);
    await run.says(`Installed the packages into ${run.app}/plain/node_modules`);
    // For a deployment there is nothing to leave out: it is ignored anyway.
    assert.equal(readFileSync(join(run.app, "snake", ".colibri-dev", ".gitignore"), "utf8"), "*\n");
  });

  test("installs again when the lock file changes, not when code does", async () => {
    const asked = registry.asked.length;
    run.write("plain/index.mjs", `import left from "left";\nexport default () => left + "!";\n`);
    await run.answers("/fn/shop/plain", "left!");
    assert.equal(registry.asked.length, asked);
    const [left, top] = await Promise.all([
      publishNpm(registry, "left", { "index.js": `module.exports = "left";` }),
      publishNpm(registry, "top", { "index.js": `module.exports = "top";` }),
    ]);
    for (const [path, text] of Object.entries(inFolder("plain", locked({ left, top })))) run.write(path, text);
    run.write("plain/index.mjs", `import top from "top";\nexport default () => top;\n`);
    await run.answers("/fn/shop/plain", "top");
  });

  test("leaves alone what somebody else has installed since, and notices that they did", async () => {
    const packages = join(run.app, "plain", "node_modules");
    run.write("plain/node_modules/top/index.js", `module.exports = "by hand";`);
    run.write("plain/node_modules/.package-lock.json", `{"by":"hand"}`);
    await run.answers("/fn/shop/plain", "by hand");
    run.write("plain/package-lock.json", readFileSync(join(run.app, "plain", "package-lock.json"), "utf8").concat(" "));
    run.write("plain/index.mjs", `import top from "top";\nexport default () => top + "!";\n`);
    await run.answers("/fn/shop/plain", "by hand!");
    assert.ok(existsSync(join(packages, "top")));
  });

  test("the next start installs nothing again, and nothing but packages stays behind", async () => {
    assert.equal(await run.stop(), 0);
    assert.deepEqual([run.processes(), run.left()], [[], []]);
    const asked = registry.asked.length;
    await run.start();
    assert.equal((await run.call("/fn/shop/snake")).text, "right");
    assert.equal(registry.asked.length, asked);
    const own = join(run.app, "snake", ".colibri-dev");
    assert.deepEqual(
      readdirSync(own)
        .map((name) => name.replace(/-.*/, ""))
        .sort(),
      [".gitignore", "packages"],
    );
  });

  test("a package that can't be had is told, and asked for again after the next save", async () => {
    const from = run.said.length;
    run.write("snake/requirements.txt", "absent==1.0\n");
    await run.says(/snake +· dependencies-failed: .*absent==1\.0/, from);
    assert.equal((await run.call("/fn/shop/snake")).code, "dependencies-failed");
    run.write("snake/requirements.txt", "right==1.0\n");
    await until("the answer", async () => (await run.call("/fn/shop/snake")).text === "right");
  });
});

function inFolder(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, text]) => [`${folder}/${path}`, String(text)]));
}
