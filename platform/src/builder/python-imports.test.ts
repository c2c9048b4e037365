import assert from "node:assert/strict";
import { test } from "node:test";
import type { Files } from "./builder.fixture.ts";
import { failureOf, inShop, PYTHON, PYTHON_HANDLER } from "./shop.fixture.ts";

const HANDLER = PYTHON_HANDLER["handler.py"];

test("a module that nothing brings is refused, also where one of the function's own imports it", () =>
  inShop(async (shop) => {
    const cases: [Files, string][] = [
      [
        { "handler.py": `import json\nimport nowhere_x.y\n${HANDLER}` },
        "handler.py:2 imports nowhere_x, which is neither a file of the function nor installed: name its package in requirements.txt, or add the file.",
      ],
      [
        { "handler.py": `from lib.deep import a\n${HANDLER}`, "lib/deep.py": "from .gone import a" },
        "lib/deep.py:1 imports lib.gone, which is not in the function's folder: correct the name, or add the file.",
      ],
    ];
    for (const [files, message] of cases)
      assert.equal(await failureOf(shop.build(files, PYTHON)), `build-failed: ${message}`);
  }));

test("a module that is there, is Python's or the guest's, or need not be, is let pass", () =>
  inShop(async (shop) => {
    const text = [
      "from __future__ import annotations",
      "import os.path, sys, json, importlib.util",
      "import lib, plain.sub, native, nested.module as n",
      "from . import nothing_of_it",
      "from colibri import Context",
      "from installed.thing import x",
      "try:\n  import gone\nexcept ImportError:\n  gone = None",
      "if False:\n  import gone",
      "def later():\n  import gone",
      HANDLER,
    ];
    await shop.build(
      {
        "handler.py": text.join("\n"),
        "lib.py": "import plain",
        "plain/sub.py": "",
        "native.cpython-311-x86_64-linux-gnu.so": "",
        "nested/__init__.py": "import json",
        "nested/module.py": "from . import other\nfrom .other import a\nfrom .. import x",
        "nested/other.py": "a = 1",
        "_packages/installed/thing.py": "import not_ours_to_judge",
      },
      PYTHON,
    );
    assert.deepEqual(warnings(shop.steps), []);
  }));

test("where code may bring a module, its absence is a warning", () =>
  inShop(async (shop) => {
    const text = `import sys\nsys.path.append("/opt/x")\nimport nowhere_x\n${HANDLER}`;
    await shop.build({ "handler.py": text }, PYTHON);
    await shop.build({ "handler.py": `import nowhere_y\n${HANDLER}`, "_packages/a.pth": "b" }, PYTHON);
    const why = "which is neither a file of the function nor installed, unless the code brings it";
    const remedy = "name its package in requirements.txt, or add the file";
    assert.deepEqual(warnings(shop.steps), [
      `Warning: handler.py:3 imports nowhere_x, ${why}: ${remedy}`,
      `Warning: handler.py:1 imports nowhere_y, ${why}: ${remedy}`,
    ]);
  }));

function warnings(steps: readonly string[]): string[] {
  return steps.filter((step) => step.startsWith("Warning:"));
}
