import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { findRuntimes } from "./runtimes.ts";

const folder = mkdtempSync(join(tmpdir(), "colibri-runtimes-"));
after(() => rmSync(folder, { recursive: true }));
const node = { path: "/opt/node", version: "24.1.0" };
const guests = { nodejs: "/guests/nodejs.mjs", python: "/guests/python.pyz" };

const TELLS_SITE =
  "import json, site, sys; print(json.dumps({'path': site.getsitepackages()[0], 'minor': '%d.%d' % sys.version_info[:2]}))";

/** A python3 that says that it lives elsewhere, as a shim does. */
function python(version: string): string {
  const path = mkdtempSync(join(folder, "path-"));
  writeFileSync(join(path, "python3"), `#!/bin/sh\necho /real/python3\necho ${version}\n`);
  chmodSync(join(path, "python3"), 0o755);
  return path;
}

test("Python finds its own library and nothing else of the machine's", async () => {
  const home = mkdtempSync(join(folder, "home-"));
  const environment = join(home, "venv");
  execFileSync("python3", ["-m", "venv", "--without-pip", environment]);
  const { path, minor } = JSON.parse(
    execFileSync(join(environment, "bin/python3"), ["-c", TELLS_SITE], { encoding: "utf8" }),
  );
  const places = {
    system: path,
    user: join(home, `.local/lib/python${minor}/site-packages`),
    named: join(home, "named"),
  };
  for (const [name, place] of Object.entries(places)) {
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, `${name}.py`), "");
  }
  const script = join(mkdtempSync(join(folder, "script-")), "script.py");
  writeFileSync(
    script,
    "from importlib.util import find_spec\nprint([name for name in ('json', '_socket', 'system', 'user', 'named') if find_spec(name)])\n",
  );
  const given = { nodejs: "", python: script };
  const found = await findRuntimes({ guests: given, node, searchPath: join(environment, "bin") });
  const [program = "", ...args] = found.get("python")!.command;
  const env = { HOME: home, PYTHONPATH: places.named };
  assert.equal(execFileSync(program, args, { env, encoding: "utf8" }), "['json', '_socket']\n");
});

test("Node is there, with its heap bound to the sandbox's memory", async () => {
  const runtimes = await findRuntimes({ guests, node, searchPath: folder });
  assert.deepEqual(
    runtimes.list().map(({ name }) => name),
    ["nodejs"],
  );
  assert.deepEqual(runtimes.get("nodejs")?.command, [
    "/opt/node",
    "--max-old-space-size={memoryMiB}",
    "--max-semi-space-size=8",
    guests.nodejs,
  ]);
});

test("the first Python of the path is taken by its real place, if it is new enough and has a guest", async () => {
  const found = await findRuntimes({ guests, node, searchPath: `${folder}:${python("3.11.7")}:${python("3.12.0")}` });
  assert.deepEqual(found.get("python"), {
    ...{ name: "python", version: "3.11.7", environment: {} },
    command: ["/real/python3", "-E", "-s", "-S", guests.python],
    files: {
      shows: { "/real/python3": "/real/python3", [guests.python]: "/opt/colibri/guest.pyz" },
      hides: [],
    },
  });
  const old = await findRuntimes({ guests, node, searchPath: `${python("3.8.20")}:${python("3.12.0")}` });
  assert.equal(old.get("python"), undefined);
  const none = await findRuntimes({ guests: { ...guests, python: undefined }, node, searchPath: python("3.12.0") });
  assert.equal(none.get("python"), undefined);
});
