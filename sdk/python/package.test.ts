import assert from "node:assert/strict";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ERRORS, isErrorCode } from "#contract/errors.ts";
import { missingPython, readyPython } from "#guest/python/python.fixture.ts";
import manifest from "../../package.json" with { type: "json" };
import { type Built, buildWheel, execute } from "./wheel.fixture.ts";

const MAXIMUM_BYTES = 96 * 1024;

describe("the Python package", { skip: missingPython() }, () => {
  let built: Built;
  before(async () => {
    built = await buildWheel();
  });
  after(() => built.remove());

  test("is small, and the same whenever it is built", async () => {
    assert.ok(statSync(built.wheel).size < MAXIMUM_BYTES);
    const again = await buildWheel();
    assert.ok(readFileSync(again.wheel).equals(readFileSync(built.wheel)));
    again.remove();
    assert.ok(built.wheel.endsWith(`colibri_functions-${manifest.version}-py3-none-any.whl`));
  });

  test("its own tests", async () => {
    const { stderr } = await built.run(["-m", "unittest", "discover", "-s", "sdk/python/tests"]);
    assert.match(stderr, /^Ran 1[0-9] tests/m);
    assert.doesNotMatch(stderr, /Traceback/);
  });

  test("is installed by pip without an index, and runs the tests of its page", async (t) => {
    const venv = join(built.folder, "venv");
    const hasPip = await execute("python3", ["-m", "pip", "--version"]).then(
      () => true,
      () => false,
    );
    if (!hasPip) return t.skip("python3 has no pip here");
    await execute("python3", ["-m", "venv", "--without-pip", venv]);
    const python = join(venv, "bin/python");
    await execute("python3", [
      "-m",
      "pip",
      "--python",
      python,
      "install",
      "--quiet",
      "--no-index",
      "--no-compile",
      built.wheel,
    ]);
    const folder = join(built.folder, "page");
    mkdirSync(folder);
    const page = readFileSync("docs/sdk-python.md", "utf8");
    for (const [, file, code] of page.matchAll(/^```python\n# (\S+)\n(.*?)^```/gms))
      writeFileSync(join(folder, file!), code!);
    const { stderr } = await execute(python, ["-B", "-m", "unittest"], { cwd: folder });
    assert.match(stderr, /^Ran 5 tests/m);
  });

  test("the names of `colibri` are those that a sandbox offers", async (t) => {
    const names = JSON.parse(
      (await built.run(["-c", "import colibri, json; print(json.dumps(sorted(colibri.__all__)))"])).stdout,
    );
    const source = `
import colibri
from colibri import ${names.join(", ")}

def handler(input, context: Context) -> Response:
    return [sorted(colibri.__all__), isinstance(context, Context)]
`;
    const { data } = await readyPython(t, source);
    assert.deepEqual(JSON.parse((await data.invoke()).body.toString()), [names, true]);
  });

  test("its table of errors is the catalogue's", async () => {
    const { stdout } = await built.run([
      "-c",
      "import json; from colibri._errors import ERRORS; print(json.dumps(ERRORS))",
    ]);
    for (const [code, told] of Object.entries(JSON.parse(stdout))) {
      assert.ok(isErrorCode(code), code);
      assert.deepEqual(told, [ERRORS[code].status, ERRORS[code].meaning]);
    }
  });
});
