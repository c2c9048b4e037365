import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ERRORS } from "#contract/errors.ts";
import { SCRIPTS } from "./completion/scripts.ts";
import { FixturePlatform } from "./fixture/platform.ts";
import { envFor, onTerminal, temporaryFolder } from "./fixture/run.ts";
import { readCatalogue } from "./init/catalogue.ts";

const CLI = fileURLToPath(new URL("../bin/colibri", import.meta.url));

describe("completion", () => {
  let platform: FixturePlatform;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    platform.addFunction("shop", "greet");
    platform.addFunction("shop", "pay");
    platform.addFunction("blog", "post");
  });
  afterEach(() => platform.stop());

  /** What is offered for the last word, and what the shell is to offer beside. */
  async function offered(words: readonly string[], env: Record<string, string> = envFor(platform), shell = "bash") {
    const { code, out, err } = await onTerminal(["__complete", shell, "--", ...words], { env });
    assert.deepEqual([code, err], [0, ""]);
    const [also, ...candidates] = out.trimEnd().split("\n");
    return { also, candidates };
  }
  const candidates = async (...words: string[]) => (await offered(words)).candidates;

  test("commands and their own commands, by what was typed of them", async () => {
    assert.deepEqual(await candidates("de"), ["dev", "deploy", "delete"]);
    assert.deepEqual(await candidates("context", ""), ["list", "show", "use", "add", "remove"]);
    assert.deepEqual(await candidates("nonsense", ""), []);
    assert.ok(!(await candidates("")).some((name) => name.startsWith("_")));
  });

  test("options and their values", async () => {
    assert.deepEqual(await candidates("list", "--"), [
      "--json",
      "--output",
      "--watch",
      "--tenant",
      "--context",
      "--help",
    ]);
    assert.deepEqual(await candidates("list", "--output", "j"), ["json"]);
    assert.deepEqual(await candidates("list", "--output", "=", "j"), ["json"], "as bash splits it");
    assert.deepEqual((await offered(["list", "--output=j"], {}, "zsh")).candidates, ["--output=json"]);
    assert.deepEqual(await candidates("completion", ""), ["bash", "zsh", "fish"]);
    assert.deepEqual(await offered(["deploy", ""]), { also: "folders", candidates: [] });
    assert.deepEqual(await offered(["invoke", "shop/greet", "--file", ""]), { also: "files", candidates: [] });
    assert.deepEqual(await offered(["invoke", "shop/greet", "--path", "/"]), { also: "none", candidates: [] });
    assert.deepEqual(await candidates("list", "--", "--js"), [], "after -- nothing is an option");
  });

  test("templates, or a folder with one, and languages", async () => {
    const { also, candidates: templates } = await offered(["init", "--template", ""], {});
    assert.equal(also, "folders");
    assert.deepEqual(
      templates,
      readCatalogue().map(({ name }) => name),
    );
    assert.deepEqual(await candidates("init", "-t", "rest"), ["rest-api"]);
    assert.deepEqual(await candidates("init", "--language", ""), ["nodejs", "typescript", "python"]);
  });

  test("names that the platform has", async () => {
    assert.deepEqual(await candidates("logs", ""), ["shop/greet", "shop/pay", "blog/post"]);
    assert.deepEqual(await candidates("logs", "--follow", "shop/p"), ["shop/pay"]);
    assert.deepEqual(await candidates("logs", "--tail", "5", "b"), ["blog/post"], "an option's value is no operand");
    assert.deepEqual(await candidates("inspect", "s"), ["shop", "shop/greet", "shop/pay"]);
    assert.deepEqual(await candidates("logs", "shop/greet", ""), [], "one name only");
    platform.addFunction("shop", "$(reboot)");
    assert.deepEqual(await candidates("logs", "shop/"), ["shop/greet", "shop/pay"], "what is no name");
    platform.requests.length = 0;
    await candidates("logs", "shop/");
    assert.deepEqual(
      platform.requests.filter((line) => line.includes("blog")),
      [],
      "only the app that was typed",
    );
  });

  test("error codes and contexts need no platform", async (t) => {
    assert.deepEqual(await candidates("explain", "queue"), ["queue-timeout"]);
    assert.equal((await candidates("explain", "")).length, Object.keys(ERRORS).length);
    const config = temporaryFolder(t);
    mkdirSync(join(config, "colibri"));
    writeFileSync(
      join(config, "colibri", "contexts.json"),
      JSON.stringify({ contexts: [{ name: "prod", controlUrl: "https://prod.example" }] }),
    );
    const { candidates: contexts } = await offered(["list", "--context", ""], { XDG_CONFIG_HOME: config }, "fish");
    assert.deepEqual(contexts, ["local\tthe platform of this machine's home", "prod\thttps://prod.example"]);
  });

  test("the platform that is asked is the one that --context names", async (t) => {
    const other = new FixturePlatform();
    await other.start();
    t.after(() => other.stop());
    other.addFunction("there", "fn");
    const config = temporaryFolder(t);
    mkdirSync(join(config, "colibri"));
    const contexts = [{ name: "other", controlUrl: other.url, token: envFor(other).COLIBRI_TOKEN }];
    writeFileSync(join(config, "colibri", "contexts.json"), JSON.stringify({ contexts }));
    const env = { ...envFor(platform), XDG_CONFIG_HOME: config };
    for (const words of [
      ["logs", "--context", "other", "t"],
      ["logs", "--context=other", "t"],
    ])
      assert.deepEqual((await offered(words, env)).candidates, ["there/fn"]);
  });

  test("a platform that is away, refuses or hangs offers nothing, quietly", async (t) => {
    const nothing = { also: "none", candidates: [] };
    assert.deepEqual(await offered(["logs", ""], { ...envFor(platform), COLIBRI_TOKEN: "wrong" }), nothing);
    assert.deepEqual(await offered(["logs", ""], { COLIBRI_URL: "nonsense" }), nothing);
    assert.deepEqual(await offered(["logs", ""], { COLIBRI_CONTEXT: "none", HOME: "/nowhere" }), nothing);
    const { createServer } = await import("node:net");
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    t.after(() => silent.close());
    const { port } = silent.address() as { port: number };
    assert.deepEqual(await offered(["logs", ""], { COLIBRI_URL: `http://127.0.0.1:${port}` }), nothing);
    await platform.stop();
    assert.deepEqual(await offered(["logs", ""]), nothing);
  });

  test("every command prints its script", async () => {
    for (const shell of ["bash", "zsh", "fish"] as const)
      assert.equal((await onTerminal(["completion", shell])).out, SCRIPTS[shell]);
    const { code, err } = await onTerminal(["completion", "csh"]);
    assert.deepEqual([code, /Allowed choices are bash, zsh, fish/.test(err)], [2, true]);
  });
});

/** The shells that are here; bash always is. */
const HERE = (["bash", "zsh", "fish"] as const).filter(
  (shell) => shell === "bash" || spawnSync(shell, ["--version"]).status === 0,
);

/** A script that completes this line and prints what would be offered, a candidate a line. */
const ASKING = {
  bash: (line: string, script: string) => `source ${script}
line=${JSON.stringify(line)}; COMP_LINE=$line; COMP_POINT=\${#line}
read -ra COMP_WORDS <<< "\${line//=/ = }"; [[ $line == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); compopt() { :; }
_colibri colibri; printf '%s\\n' "\${COMPREPLY[@]}"`,
  // _describe is what zsh shows a menu with: what it is given is what is offered.
  zsh: (line: string, script: string) => `compdef() { :; }; source ${script}
_describe() { local name=$2; printf '%s\\n' "\${(@P)name}" }; _files() { printf '%s\\n' "files $*" }
words=(\${=:-${line.trimEnd()}}); [[ ${JSON.stringify(line)} == *" " ]] && words+=("")
CURRENT=$#words; _colibri`,
  fish: (line: string, script: string) => `source ${script}; complete -C ${JSON.stringify(line)}`,
};

describe("completion in real shells", () => {
  for (const shell of HERE)
    test(shell, async (t) => {
      const folder = temporaryFolder(t);
      symlinkSync(CLI, join(folder, "colibri"));
      mkdirSync(join(folder, "cwd", "sources here"), { recursive: true });
      const script = join(folder, "script");
      writeFileSync(script, SCRIPTS[shell]);
      const ask = (line: string): string[] => {
        const { stdout, stderr } = spawnSync(shell, ["-c", ASKING[shell](line, script)], {
          env: { PATH: `${folder}:${process.env.PATH}`, HOME: folder },
          cwd: join(folder, "cwd"),
          encoding: "utf8",
        });
        assert.equal(stderr, "");
        return stdout.split("\n").filter((text) => text !== "");
      };
      const names = (line: string) => ask(line).map((text) => text.split(/[\t:]/)[0]);
      assert.deepEqual(names("colibri de").sort(), ["delete", "deploy", "dev"]);
      assert.deepEqual(names("colibri explain queue"), ["queue-timeout"]);
      assert.deepEqual(names("colibri context us"), ["use"]);
      if (shell !== "bash") assert.match(ask("colibri context us")[0]!, /Use this context from now on/);
      if (shell === "bash") assert.deepEqual(names("colibri list --output=y"), ["yaml"]);
      if (shell === "zsh") assert.deepEqual(names("colibri deploy "), ["files -/"]);
      else assert.match(names("colibri deploy s")[0]!, /^sources here\/?$/);
    });
});
