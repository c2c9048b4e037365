import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Files, publishWheel } from "./builder.fixture.ts";
import { failureOf, inShop, PYTHON, PYTHON_HANDLER, registry } from "./shop.fixture.ts";

const PROJECT = { "pyproject.toml": '[project]\nname = "f"\nversion = "1"\ndependencies = ["first>=1"]\n' };
const hashOf = (name: string) => publishWheel(registry, name, `name = "${name}"\n`);

/** Both of the function's packages; `third` is for development or for another platform. */
async function locks(): Promise<Record<string, Files>> {
  const [first, second, third] = await Promise.all(["first", "second", "third"].map(hashOf));
  const elsewhere = `sys_platform == "win32"`;
  const uv = (name: string, hash?: string, more = "") =>
    `[[package]]\nname = "${name}"\nversion = "1.0"\nsource = { registry = "https://pypi.org/simple" }\n${more}\nwheels = [{ url = "https://x/${name}.whl", hash = "sha256:${hash}" }]\n\n`;
  const poetry = (name: string, hash?: string, more = "") =>
    `[[package]]\nname = "${name}"\nversion = "1.0"\noptional = false\nfiles = [{ file = "${name}.whl", hash = "sha256:${hash}" }]\n${more}\n`;
  const pylock = (name: string, hash?: string, more = "") =>
    `[[packages]]\nname = "${name}"\nversion = "1.0"\n${more}\nwheels = [{ url = "https://x/${name}.whl", hashes = { sha256 = "${hash}" } }]\n\n`;
  return {
    "uv.lock": {
      ...PROJECT,
      "uv.lock": `version = 1\n\n[[package]]\nname = "f"\nversion = "1"\nsource = { virtual = "." }\ndependencies = [{ name = "first" }, { name = "third", marker = ${JSON.stringify(elsewhere)} }]\n[package.dev-dependencies]\ndev = [{ name = "third" }]\n\n${uv("first", first, 'dependencies = [{ name = "second" }]')}${uv("second", second)}${uv("third", third)}`,
    },
    "poetry.lock": {
      "pyproject.toml":
        '[tool.poetry.dependencies]\npython = "^3.9"\nFirst = { version = "^1.0", extras = ["more"] }\n[tool.poetry.group.dev.dependencies]\nthird = "*"\n',
      "poetry.lock": `${poetry("first", first, '[package.extras]\nmore = ["second (>=1)"]\n[package.dependencies]\nsecond = { version = "*", optional = true }\n')}${poetry("second", second)}${poetry("third", third)}[metadata]\nlock-version = "2.1"\n`,
    },
    "pylock.toml": {
      "pylock.toml": `lock-version = "1.0"\ncreated-by = "test"\n\n${pylock("first", first)}${pylock("second", second)}${pylock("third", third, `marker = ${JSON.stringify(elsewhere)}`)}`,
    },
  };
}

describe("Python's lock files", () => {
  test("install what they name for this Python, once", () =>
    inShop(async (shop) => {
      for (const [name, files] of Object.entries(await locks())) {
        const all = { ...PYTHON_HANDLER, ...files };
        const bundle = await shop.build(all, PYTHON);
        const packages = [...(await shop.open(bundle)).keys()].filter((path) => path.endsWith("__init__.py"));
        assert.deepEqual(packages, ["_packages/first/__init__.py", "_packages/second/__init__.py"], name);
        // All of them come to the same requirements: only the first was installed.
        const taken = shop.steps.includes(`Took the packages of ${name} from the cache`);
        assert.equal(taken, name !== "uv.lock", name);
        await shop.build(all, PYTHON);
        assert.ok(shop.steps.includes(`Took the packages of ${name} from the cache`), name);
      }
    }));

  test("hold packages against their hashes", () =>
    inShop(async (shop) => {
      const files = (await locks())["uv.lock"]!;
      await publishWheel(registry, "second", "forged = 1\n");
      assert.match(
        await failureOf(shop.build({ ...PYTHON_HANDLER, ...files }, PYTHON)),
        /^dependencies-failed: A package does not have the hash that uv.lock gives it: /,
      );
    }));

  test("that can't be used say what would be right", () =>
    inShop(async (shop) => {
      const cases: [RegExp, Files][] = [
        [/pylock.toml is not TOML/, { "pylock.toml": "= 1" }],
        [/x comes from a vcs: packages come from an index/, { "pylock.toml": '[[packages]]\nname = "x"\nvcs = {}\n' }],
        [/gives no hash for x/, { "pylock.toml": '[[packages]]\nname = "x"\nversion = "1"\n' }],
        [
          /has a package 'x --index-url y'/,
          { "pylock.toml": '[[packages]]\nname = "x --index-url y"\nversion = "1"\n' },
        ],
        [/that of a workspace: run "uv export/, { "uv.lock": "version = 1\n" }],
        [/there is no pyproject.toml beside it/, { "poetry.lock": "" }],
        [/does not have first, .*run "poetry lock"/, { ...PROJECT, "poetry.lock": "" }],
        [/it is damaged \(/, { "uv.lock": "package = 7\n" }],
        [/dependencies is dynamic/, { "pyproject.toml": '[project]\ndynamic = ["dependencies"]\n' }],
        [/those of Poetry, without its lock file/, { "pyproject.toml": '[tool.poetry.dependencies]\nx = "*"\n' }],
        [
          /'x y' in \[project\].dependencies is not a requirement/,
          { "pyproject.toml": '[project]\ndependencies = ["x y"]\n' },
        ],
        [/is not a requirement/, { "pyproject.toml": '[project]\ndependencies = ["x @ git+https://h/x"]\n' }],
        [/Pipfile.lock is not read, .*run "pipenv requirements --hash/, { "Pipfile.lock": "{}" }],
      ];
      for (const [message, files] of cases) {
        const failure = await failureOf(shop.build({ ...PYTHON_HANDLER, ...files }, PYTHON));
        assert.match(failure, /^dependencies-failed: /);
        assert.match(failure, message);
      }
    }));

  test("a pyproject.toml without one is installed as it says, and nothing of it is built", () =>
    inShop(async (shop) => {
      await hashOf("first");
      const backend = '[build-system]\nrequires = ["evil"]\nbuild-backend = "evil"\n';
      const files = { ...PYTHON_HANDLER, "pyproject.toml": PROJECT["pyproject.toml"] + backend };
      assert.ok((await shop.open(await shop.build(files, PYTHON))).has("_packages/first/__init__.py"));
      assert.ok(shop.steps.some((step) => step.startsWith("pyproject.toml names no exact versions")));
      assert.equal(
        registry.asked.some((path) => path.includes("evil")),
        false,
      );
      const none = { ...PYTHON_HANDLER, "pyproject.toml": "[tool.ruff]\nline-length = 100\n" };
      await shop.build(none, PYTHON);
      await shop.build({ ...files, "requirements.txt": "" }, PYTHON);
    }));
});
