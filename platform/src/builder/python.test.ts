import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { publishBackend, publishSource, publishWheel } from "./builder.fixture.ts";
import { exists } from "./exists.ts";
import { failureOf, inShop, PYTHON, PYTHON_HANDLER, registry } from "./shop.fixture.ts";

describe("Python", () => {
  test("a syntax error is found with file and line, and nothing is run", () =>
    inShop(async (shop) => {
      const failure = await failureOf(shop.build({ "handler.py": 'raise SystemExit("ran")\ndef handler(:\n' }, PYTHON));
      assert.match(
        failure,
        /^build-failed: The handler has a syntax error:\nhandler\.py:2:13: invalid syntax\n {2}def handler\(:\n {14}\^$/,
      );
      assert.deepEqual(shop.output, [], "the error was told twice");
      await shop.build({ "handler.py": 'raise SystemExit("ran")\nhandler = print\n' }, PYTHON);
    }));

  test("a function that the file does not define is refused, saying what it defines", () =>
    inShop(async (shop) => {
      const lacking: [string, string, string][] = [
        [
          "handler.py",
          "x = 1\n",
          "handler.py does not define 'handler'; it defines none. Define handler(input, context), or an ASGI application app.",
        ],
        [
          "handler.py#nope",
          "def _own(): pass\ndef main(input, context): pass\nclass Other: nope = 1\n",
          "handler.py does not define 'nope'; it defines main, Other. Define nope(input, context), or name another one in the configuration: \"handler: handler.py#main\".",
        ],
        [
          "handler.py",
          "def main():\n  handler = 1\n  def app(): pass\n",
          "handler.py does not define 'handler'; it defines main. Define handler(input, context), or an ASGI application app, or name another one in the configuration: \"handler: handler.py#main\".",
        ],
      ];
      for (const [handler, text, message] of lacking)
        assert.equal(
          await failureOf(shop.build({ "handler.py": text }, { ...PYTHON, handler })),
          `build-failed: ${message}`,
        );
      assert.deepEqual(shop.output, []);
    }));

  test("a function that the file defines, or may define when it runs, is let pass", () =>
    inShop(async (shop) => {
      for (const text of [
        "async def handler(input, context): pass\n",
        "class app: pass\n",
        "from lib import handler\n",
        "import lib as app\n",
        "from lib import *\n",
        "handler: object = print\n",
        "_, (handler, *rest) = 1, (print, 2)\n",
        "for handler in (print,): pass\n",
        "with open('x') as handler: pass\n",
        "try:\n  import x\nexcept ImportError:\n  if True:\n    def handler(): pass\n",
        "if (handler := print): pass\n",
        "def make():\n  global handler\n  handler = print\nmake()\n",
        "globals()['handler'] = print\n",
        "import sys\nsys.modules[__name__].handler = print\n",
        "def __getattr__(name): return print\n",
        "# -*- coding: latin-1 -*-\ndef handler(): return '\u00e9'\n",
      ])
        await shop
          .build({ "handler.py": text, "lib.py": "" }, PYTHON)
          .catch((error) => assert.fail(`${text}: ${error.message}`));
    }));

  test("wheels are installed into _packages, the same every time", () =>
    inShop(async (shop) => {
      const hash = await publishWheel(registry, "wheely", "value = 7\n");
      const files = { ...PYTHON_HANDLER, "requirements.txt": `wheely==1.0 --hash=sha256:${hash}\n` };
      const bundle = await shop.build(files, PYTHON);
      assert.equal((await shop.open(bundle)).get("_packages/wheely/__init__.py"), "value = 7\n");
      const asked = registry.asked.length;
      assert.deepEqual(await shop.build(files, PYTHON), bundle);
      assert.equal(registry.asked.length, asked, "the index was asked again");
    }));

  test("a package without a wheel is built only if it is named", () =>
    inShop(async (shop) => {
      const mark = join(shop.folder, "cache", "mark");
      await publishSource(registry, "sourcey", mark);
      const files = { ...PYTHON_HANDLER, "requirements.txt": "sourcey==1.0\n" };
      const failure = await failureOf(shop.build(files, PYTHON));
      assert.match(
        failure,
        /^dependencies-failed: There is no wheel of sourcey==1.0 .*"build: \{ installScripts: \[sourcey\] \}" allows building it/,
      );
      assert.equal(await exists(mark), false, "setup.py ran");
      // Its build needs setuptools, which this index does not have: that it was tried is what counts.
      const tried = await failureOf(shop.build(files, { ...PYTHON, build: { installScripts: ["sourcey"] } }));
      assert.ok(registry.asked.includes("/files/sourcey-1.0.tar.gz"));
      assert.match(tried, /^dependencies-failed: /);
    }));

  test("a module in C is built where it is named, once, and says what its build lacks", () =>
    inShop(async (shop) => {
      const hash = await publishBackend(registry, "fastly", "pass");
      const settings = { ...PYTHON, build: { installScripts: ["fastly"] } };
      const files = { ...PYTHON_HANDLER, "requirements.txt": `fastly==1.0 --hash=sha256:${hash}\n` };
      const bundle = await shop.build(files, settings);
      assert.equal((await shop.open(bundle)).get("_packages/fastly.so"), "ELF");
      assert.deepEqual(await shop.build(files, settings), bundle);
      assert.ok(shop.steps.includes("Took the packages of requirements.txt from the cache"));
      const failing: [string, string, RegExp][] = [
        ["headless", "fatal error: Python.h: No such file or directory", /Python\.h is not on the host .*python3-dev/],
        [
          "ccless",
          "error: command 'gcc' failed: No such file or directory",
          /gcc is not on the host .*build-essential/,
        ],
      ];
      for (const [name, said, wayOut] of failing) {
        await publishBackend(registry, name, `raise SystemExit(${JSON.stringify(said)})`);
        const failure = await failureOf(
          shop.build(
            { ...PYTHON_HANDLER, "requirements.txt": `${name}==1.0\n` },
            { ...PYTHON, build: { installScripts: [name] } },
          ),
        );
        assert.match(failure, new RegExp(`^dependencies-failed: Building ${name} from source failed \\(`));
        assert.match(failure, wayOut);
        assert.ok(failure.split("Its last lines:")[1]?.includes(said), failure);
      }
    }));

  test("wheels with a manylinux tag are taken, those of another platform are not", () =>
    inShop(async (shop) => {
      const { arch } = process;
      const machine = arch === "x64" ? "x86_64" : "aarch64";
      await publishWheel(registry, "many", "value = 1\n", `py3-none-manylinux_2_17_${machine}`);
      await publishWheel(registry, "windows", "value = 1\n", "py3-none-win_amd64");
      const build = (name: string) => shop.build({ ...PYTHON_HANDLER, "requirements.txt": `${name}==1.0\n` }, PYTHON);
      assert.ok((await shop.open(await build("many"))).has("_packages/many/__init__.py"));
      assert.match(
        await failureOf(build("windows")),
        /There is no wheel of windows==1.0 for the Python of this platform/,
      );
    }));

  test("an index that hangs is given up", () =>
    inShop(
      async (shop) => {
        registry.hanging.add("/simple/hung/");
        const files = { ...PYTHON_HANDLER, "requirements.txt": "hung==1.0\n" };
        assert.match(
          await failureOf(shop.build(files, PYTHON)),
          /^dependencies-failed: The package index can't be reached from the platform's host: Read timed out/,
        );
        registry.hanging.clear();
      },
      { environment: { PIP_DEFAULT_TIMEOUT: "1", PIP_RETRIES: "1" } },
    ));

  test("requirements that would leave the folder, the index or the wheels are refused before pip runs", () =>
    inShop(async (shop) => {
      const refused: [string, RegExp][] = [
        ["--index-url http://x\n", /requirements.txt:1: the option "--index-url http:\/\/x" is not taken/],
        ["--index-url http://bob:SECRET@x\n", /the option "--index-url http:\/\/\*\*\*@x" is not taken/],
        ["ok==1\n-e .\n", /requirements.txt:2: the option "-e \." is not taken/],
        ["./here.whl\n", /requirements.txt:1: "\.\/here.whl" is not a requirement/],
        ["x @ git+https://h/x.git\n", /requirements.txt:1: "x @ git\+https:\/\/h\/x.git" is not a requirement/],
        ["x @ https://h/x.tar.gz\n", /is not a requirement/],
        ["x @ file:./x.whl\n", /is not a requirement/],
        ["x @ file:///etc/x.whl\n", /is not a requirement/],
        ["git+https://x/y\n", /is not a requirement/],
        ["x.tar.gz\n", /is not a requirement/],
        [`x==$${"{HOME}"}\n`, /variables are not filled in/],
        ["-r ../../x\n", /is not in the folder|outside of the function's folder/],
        ["-r requirements.txt\n", /includes files without end/],
      ];
      for (const [text, message] of refused) {
        const failure = await failureOf(shop.build({ ...PYTHON_HANDLER, "requirements.txt": text }, PYTHON));
        assert.match(failure, /^dependencies-failed: /);
        assert.match(failure, message);
      }
      assert.deepEqual(shop.output, []);
    }));

  test("what a wheel says it needs is not taken from git or built from source, unless it is named", () =>
    inShop(async (shop) => {
      const mark = join(shop.folder, "cache", "mark");
      await publishSource(registry, "sly", mark);
      const archive = `sly @ ${registry.url}/files/sly-1.0.tar.gz`;
      const refused: [string, readonly string[], RegExp][] = [
        [archive, [], /sly ?@ http\S+ is source and would have to be built, which runs its code/],
        [archive, ["other"], /or name sly in build\.installScripts/],
        [`sly @ git+${registry.url}/sly.git`, [], /from version control \(git .*packages come from an index/],
        [`sly @ git+${registry.url}/sly.git`, ["sly"], /from version control \(git /],
        ["sly @ hg+http://127.0.0.1:1/sly", ["sly"], /from version control \(hg |Cannot find command 'hg'/],
      ];
      for (const [needed, installScripts, message] of refused) {
        await publishWheel(registry, "byurl", "", "py3-none-any", [needed]);
        registry.asked.length = 0;
        const files = { ...PYTHON_HANDLER, "requirements.txt": "byurl\n" };
        const failure = await failureOf(
          shop.build(files, { ...PYTHON, build: { installScripts: [...installScripts] } }),
        );
        assert.match(failure, /^dependencies-failed: /);
        assert.match(failure, message);
        assert.equal(await exists(mark), false, needed);
        assert.ok(!registry.asked.some((path) => path.startsWith("/sly.git")));
      }
      await publishWheel(registry, "byurl", "", "py3-none-any", [archive]);
      const lock = '[[packages]]\nname = "x"\n[packages.archive]\nurl = "https://h/x.tar.gz"\n';
      assert.match(
        await failureOf(shop.build({ ...PYTHON_HANDLER, "pylock.toml": lock }, PYTHON)),
        /x comes from a archive: packages come from an index/,
      );
    }));

  test("included files and comments are understood", () =>
    inShop(async (shop) => {
      await publishWheel(registry, "wheely", "value = 7\n");
      const files = {
        ...PYTHON_HANDLER,
        "requirements.txt": "# all of it\n-r more/base.txt  # and constraints\n-c more/pins.txt\n",
        "more/base.txt": "wheely \\\n  >=1.0 ; python_version >= '3'\n",
        "more/pins.txt": "wheely<2\n",
      };
      assert.ok((await shop.open(await shop.build(files, PYTHON))).has("_packages/wheely/__init__.py"));
    }));

  test("an index that does not answer, and a host without Python, say so", () =>
    inShop(async (shop) => {
      const files = { ...PYTHON_HANDLER, "requirements.txt": "wheely\n" };
      await inShop(
        async (other) => {
          assert.match(
            await failureOf(other.build(files, PYTHON)),
            /^dependencies-failed: The package index can't be reached from the platform's host: Failed to establish a new connection: \[Errno 111\] Connection refused\. Packages [^;]*$/,
          );
          assert.doesNotMatch(other.output.join("\n"), /Retry\(|No matching distribution|Could not find a version/);
        },
        { environment: { PIP_INDEX_URL: "http://user:hunter22@127.0.0.1:9/simple", PIP_RETRIES: "1" } },
      );
      await inShop(
        async (other) =>
          assert.match(await failureOf(other.build(files, PYTHON)), /Python 3 is not installed on the host/),
        { python: ["python-that-is-not-there"] },
      );
      assert.equal(shop.output.join("\n").includes("hunter22"), false);
    }));
});
