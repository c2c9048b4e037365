import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { colibri, onTerminal, type Ran, temporaryFolder } from "./fixture/run.ts";

const LAUNCHER = fileURLToPath(new URL("../bin/colibri", import.meta.url));
const ON_PTY = fileURLToPath(new URL("fixture/on-pty.py", import.meta.url));
const ENV = { PATH: process.env.PATH!, HOME: process.env.HOME ?? "/" };
const APP = "app: orders # ours\nfunctions:\n  take:\n    runtime: nodejs\n    handler: index.mjs\n";

/** Nobody is asked with --json. */
function init(cwd: string, ...args: string[]): Promise<Ran> {
  return onTerminal(["init", "--json", ...args], { cwd, env: ENV });
}

function write(folder: string, files: Record<string, string>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const read = (...path: string[]) => readFileSync(join(...path), "utf8");
const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

function template(test: Parameters<typeof temporaryFolder>[0], files: Record<string, string> = {}): string {
  return write(temporaryFolder(test), { "colibri.yaml": APP, "take/index.mjs": "export default () => 1;\n", ...files });
}

async function refused(ran: Promise<Ran>, code: number, ...messages: RegExp[]): Promise<void> {
  const { code: ended, err, out } = await ran;
  assert.deepEqual([ended, out], [code, ""], err);
  for (const message of messages) assert.match(err, message);
}

describe("init from a template of ours", () => {
  test("copies its files, with the app's name in its configuration and README", async (t) => {
    const cwd = temporaryFolder(t);
    const { code, out } = await init(cwd, "shop", "--template", "rest-api", "--language", "py");
    assert.equal(code, 0);
    const made = JSON.parse(out);
    assert.deepEqual(
      [made.app, made.template, made.language, made.functions],
      ["shop", "rest-api", "python", ["tasks"]],
    );
    assert.deepEqual(made.files, filesIn(join(cwd, "shop")));
    assert.ok(made.files.includes("tasks/.colibriignore") && made.files.includes("tasks/test_handler.py"));
    assert.ok(!made.files.includes("template.json"));
    assert.match(
      read(cwd, "shop/colibri.yaml"),
      /^# yaml-language-server: \$schema=\.\/colibri\.schema\.json\napp: shop$/m,
    );
    assert.equal(read(cwd, "shop/colibri.schema.json"), readFileSync("contract/config/colibri.schema.json", "utf8"));
    assert.match(read(cwd, "shop/README.md"), /\/fn\/shop\/tasks\/1/);
    assert.doesNotMatch(read(cwd, "shop/README.md"), /\/fn\/rest-api/);
    assert.deepEqual(readdirSync(cwd), ["shop"]);
  });

  test("says what comes next, as it can be typed there", async (t) => {
    const next = async (options: Parameters<typeof onTerminal>[1], folder: string) => {
      const { out } = await onTerminal(["init", folder, "--yes", "--name", "shop"], options);
      return out.split("Next:\n")[1]!.split("\n\n")[0]!.split("\n");
    };
    const cwd = temporaryFolder(t);
    const steps = ["test", "dev", "deploy"].map((command) => `  colibri ${command} 'my shop'`);
    assert.deepEqual(await next({ cwd }, "my shop"), [...steps, `  colibri invoke shop/hello --data '{"name":"Ada"}'`]);
    const here = await next({ cwd, env: { npm_command: "exec" } }, "other");
    assert.equal(here[0], "  npx colibri test other");
    const inCheckout = await next({ cwd: fileURLToPath(new URL(".", import.meta.url)) }, join(cwd, "third"));
    assert.equal(inCheckout[0], `  npx colibri test ${join(cwd, "third")}`);
  });

  test("without a name it is called otherwise than our examples are", async (t) => {
    const cwd = temporaryFolder(t);
    for (const name of ["my-hello", "my-hello-2"]) {
      const { out } = await init(cwd, "--yes");
      assert.equal(JSON.parse(out).app, name);
    }
  });

  test("into the working directory, beside what is there", async (t) => {
    const cwd = write(join(temporaryFolder(t), "My Shop"), { "notes.txt": "mine" });
    const { code, out } = await init(cwd, ".", "--template", "hello", "--language", "nodejs");
    assert.deepEqual([code, JSON.parse(out).app], [0, "my-shop"]);
    assert.equal(read(cwd, "notes.txt"), "mine");
    assert.deepEqual(readdirSync(cwd).sort(), [
      "README.md",
      "colibri.schema.json",
      "colibri.test.yaml",
      "colibri.yaml",
      "hello",
      "notes.txt",
    ]);
  });

  test("what stands in the way is named, and replaced with --force only", async (t) => {
    const cwd = write(temporaryFolder(t), { "shop/colibri.yaml": "mine", "shop/hello/index.mjs": "mine" });
    const args = ["shop", "--template", "hello", "--language", "nodejs"];
    await refused(init(cwd, ...args), 1, /shop already has 2 files/, /\n {4}hello\/index\.mjs\n/, /--force/);
    assert.deepEqual(filesIn(cwd), ["shop/colibri.yaml", "shop/hello/index.mjs"]);
    assert.equal((await init(cwd, ...args, "--force")).code, 0);
    assert.match(read(cwd, "shop/colibri.yaml"), /^app: shop$/m);
    assert.deepEqual(readdirSync(join(cwd, "shop")).sort(), [
      "README.md",
      "colibri.schema.json",
      "colibri.test.yaml",
      "colibri.yaml",
      "hello",
    ]);
  });

  test("--force goes through no link and replaces no folder", async (t) => {
    const elsewhere = temporaryFolder(t);
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, "shop"));
    symlinkSync(elsewhere, join(cwd, "shop/hello"));
    const args = ["--template", "hello", "--language", "nodejs", "--force"];
    await refused(init(cwd, "shop", ...args), 1, /hello is there and is no folder/);
    mkdirSync(join(cwd, "other/colibri.yaml"), { recursive: true });
    await refused(init(cwd, "other", ...args), 1, /colibri\.yaml is a folder/);
    assert.deepEqual([filesIn(elsewhere), readdirSync(join(cwd, "other"))], [[], ["colibri.yaml"]]);
  });

  test("interrupted, it leaves nothing", async (t) => {
    const cwd = temporaryFolder(t);
    const signal = AbortSignal.abort(new Error("stopped"));
    const { code } = await onTerminal(["init", "a/b", "--yes"], { cwd, signal });
    assert.deepEqual([code, readdirSync(cwd)], [1, []]);
  });

  test("wrong names are refused with right ones", async (t) => {
    const cwd = temporaryFolder(t);
    await refused(init(cwd, "x", "--template", "restapi"), 2, /perhaps rest-api/, /hello, rest-api, hono/);
    await refused(init(cwd, "x", "--template", "hello", "--language", "go"), 2, /nodejs or typescript or python/);
    await refused(init(cwd, "x", "--template", "asgi", "--language", "ts"), 2, /use --language python/);
    await refused(init(cwd, "x", "--template", "asgi", "--name", "No"), 2, /lower-case letters/);
    await refused(init(cwd, "+++", "--template", "asgi"), 2, /give one with --name/);
    assert.deepEqual(readdirSync(cwd), []);
  });

  test("where nobody can be asked, all that is missing is told at once", async (t) => {
    const cwd = temporaryFolder(t);
    const ran = colibri(["init"], { cwd, env: ENV });
    await refused(ran, 2, /missing are: --template <.*>, the folder\./);
    await refused(init(cwd, "--template", "hello"), 2, /--language <nodejs or typescript or python>, the folder\./);
    await refused(init(cwd, "x", "--template", "hello"), 2, /missing is: --language <[^>]*>\./);
  });

  test("the list has every template with its languages", async () => {
    const { out } = await init(process.cwd(), "--list");
    const templates: { template: string; languages: string[] }[] = JSON.parse(out);
    assert.deepEqual(templates[0], {
      ...templates[0],
      template: "hello",
      languages: ["nodejs", "typescript", "python"],
    });
    const { out: shown } = await onTerminal(["init", "--list"]);
    for (const { template } of templates) assert.match(shown, new RegExp(`^${template} `, "m"));
  });
});

describe("init from a folder", () => {
  test("copies what is in it, but what tools make", async (t) => {
    const from = template(t, {
      "node_modules/x/index.js": "",
      ".git/hooks/post-checkout": "",
      "run.sh": "",
      "template.json": "{}",
    });
    chmodSync(join(from, "run.sh"), 0o755);
    symlinkSync("take/index.mjs", join(from, "link"));
    const cwd = temporaryFolder(t);
    assert.equal((await init(cwd, "shop", "--template", from)).code, 0);
    assert.deepEqual(filesIn(join(cwd, "shop")), ["colibri.yaml", "link", "run.sh", "take/index.mjs"]);
    assert.equal(lstatSync(join(cwd, "shop/run.sh")).mode & 0o100, 0o100);
    assert.ok(lstatSync(join(cwd, "shop/link")).isSymbolicLink());
    assert.match(read(cwd, "shop/colibri.yaml"), /^app: shop # ours$/m);
  });

  test("a hostile one is refused, and nothing is written", async (t) => {
    const cwd = temporaryFolder(t);
    const outside = (target: string) => {
      const from = template(t);
      symlinkSync(target, join(from, "take/link"));
      return from;
    };
    await refused(init(cwd, "x", "--template", outside("../../secret")), 1, /take\/link.*outside of the folder/);
    await refused(init(cwd, "x", "--template", outside("/etc/passwd")), 1, /links must be relative/);
    const huge = template(t, { "huge.bin": "" });
    truncateSync(join(huge, "huge.bin"), 60 * 1024 ** 2);
    await refused(init(cwd, "x", "--template", huge), 1, /huge\.bin.*bytes, allowed are/);
    const piped = template(t);
    execFileSync("mkfifo", [join(piped, "pipe")]);
    await refused(init(cwd, "x", "--template", piped), 1, /pipe.*fifo/);
    assert.deepEqual(readdirSync(cwd), []);
  });

  test("one without a right colibri.yaml is refused", async (t) => {
    const cwd = temporaryFolder(t);
    await refused(init(cwd, "x", "--template", write(temporaryFolder(t), { a: "" })), 1, /has no colibri\.yaml/);
    await refused(init(cwd, "x", "--template", template(t, { "colibri.yaml": "app: a\n" })), 1, /functions is missing/);
    await refused(init(cwd, "x", "--template", "./nothing"), 1, /no folder \.\/nothing/);
    const linked = template(t, { "real.yaml": APP });
    execFileSync("ln", ["-sf", "real.yaml", join(linked, "colibri.yaml")]);
    await refused(init(cwd, "x", "--template", linked), 1, /has no colibri\.yaml/);
    assert.deepEqual(readdirSync(cwd), []);
  });
});

describe("init from a Git repository", () => {
  let bare: string;
  let marker: string;
  let home: string;
  const cleanups: (() => void)[] = [];
  after(() => {
    for (const cleanup of cleanups) cleanup();
  });
  before(() => {
    const folder = temporaryFolder({ after: (remove) => cleanups.push(remove) });
    const work = write(join(folder, "work"), { "colibri.yaml": APP, "take/index.mjs": "export default () => 1;\n" });
    write(work, {
      "nested/colibri.yaml": APP.replace("orders", "nested"),
      "nested/take/index.mjs": "",
      "bare/readme": "",
    });
    marker = join(folder, "hook-ran");
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.com", "-C", work, ...args], {
        stdio: "pipe",
      });
    git("init", "--quiet", "--initial-branch=main");
    symlinkSync("nested", join(work, "alias"));
    git("add", "-A");
    git("commit", "--quiet", "-m", "first");
    git("checkout", "--quiet", "-b", "blue");
    write(work, { "take/index.mjs": "export default () => 2;\n" });
    git("commit", "--quiet", "-am", "second");
    git("checkout", "--quiet", "main");
    bare = join(folder, "orders.git");
    execFileSync("git", ["clone", "--quiet", "--bare", work, bare], { stdio: "pipe" });
    // Of the user's own configuration: it would run on every checkout.
    const hook = write(folder, { "hooks/post-checkout": `#!/bin/sh\ntouch '${marker}'\n` });
    chmodSync(join(hook, "hooks/post-checkout"), 0o755);
    write(folder, { ".gitconfig": `[core]\n  hooksPath = ${join(folder, "hooks")}\n` });
    home = folder;
  });
  const initGit = (cwd: string, ...args: string[]) =>
    onTerminal(["init", "--json", ...args], { cwd, env: { ...ENV, HOME: home } });

  test("a path that ends in .git, and a file: address; no history comes along and no hook runs", async (t) => {
    const cwd = temporaryFolder(t);
    for (const [name, address] of [
      ["a", bare],
      ["b", `file://${bare}`],
    ] as const) {
      const { code, err } = await initGit(cwd, name, "--template", address);
      assert.equal(code, 0, err);
      assert.deepEqual(readdirSync(join(cwd, name)).sort(), ["alias", "bare", "colibri.yaml", "nested", "take"]);
      assert.match(read(cwd, name, "colibri.yaml"), new RegExp(`^app: ${name} `, "m"));
    }
    assert.ok(!existsSync(marker), "a hook ran");
  });

  test("#branch and //folder", async (t) => {
    const cwd = temporaryFolder(t);
    assert.equal((await initGit(cwd, "blue", "--template", `${bare}#blue`)).code, 0);
    assert.match(read(cwd, "blue/take/index.mjs"), /=> 2/);
    assert.equal((await initGit(cwd, "inner", "--template", `file://${bare}//nested#main`)).code, 0);
    assert.deepEqual(filesIn(join(cwd, "inner")), ["colibri.yaml", "take/index.mjs"]);
  });

  test("what is not there, or no template, is refused in a line", async (t) => {
    const cwd = temporaryFolder(t);
    await refused(initGit(cwd, "x", "--template", `${bare}#green`), 1, /can't be fetched: .*green/);
    await refused(initGit(cwd, "x", "--template", `${bare}//other`), 1, /has no folder other/);
    await refused(initGit(cwd, "x", "--template", `${bare}//alias`), 1, /has no folder alias/);
    await refused(initGit(cwd, "x", "--template", `${bare}//bare`), 1, /has no colibri\.yaml/);
    await refused(initGit(cwd, "x", "--template", "./nothing.git"), 1, /nothing\.git can't be fetched/);
    await refused(initGit(cwd, "x", "--template", `${bare}//../..`), 2, /no folder of the repository/);
    await refused(initGit(cwd, "x", "--template", `${bare}#--upload-pack=x`), 2, /no branch or tag/);
    assert.deepEqual(readdirSync(cwd), []);
  });

  test("other protocols are refused before git hears of them", async (t) => {
    for (const address of [
      "http://example.com/a.git",
      "git://example.com/a.git",
      "ext::sh -c id",
      "ftp://example.com/a",
    ])
      await refused(
        initGit(temporaryFolder(t), "x", "--template", address),
        2,
        /can't be fetched by (?:http|git|ext|ftp)/,
      );
  });

  test("without git, it says so", async (t) => {
    const cwd = temporaryFolder(t);
    const ran = onTerminal(["init", "--json", "x", "--template", bare], { cwd, env: { PATH: join(cwd, "empty") } });
    await refused(ran, 1, /git is not on this machine.*apt-get install git\n$/);
  });
});

describe("init on a terminal", () => {
  type Step = readonly [shown: string, typed: string];

  const typing = (cwd: string, steps: readonly Step[], ...args: string[]) => typingWith(ENV, cwd, steps, ...args);

  async function typingWith(env: typeof ENV, cwd: string, steps: readonly Step[], ...args: string[]): Promise<Ran> {
    const command = [ON_PTY, JSON.stringify(steps), process.execPath, LAUNCHER, "init", ...args];
    const child = spawn("python3", command, { cwd, env: { ...env, TERM: "xterm" }, stdio: ["ignore", "pipe", "pipe"] });
    const [out, err, code] = await Promise.all([
      child.stdout.toArray(),
      child.stderr.toArray(),
      new Promise<number | null>((resolve) => child.on("close", resolve)),
    ]);
    const stdout = Buffer.concat(out);
    return { code, stdout, out: stdout.toString(), err: Buffer.concat(err).toString() };
  }

  test("template by arrow, language by number, and a name until it is right", async (t) => {
    const cwd = write(temporaryFolder(t), { "taken/file": "" });
    const { code, out, err } = await typing(cwd, [
      ["Template", "\u001b[B\u001b[B\u001b[A"],
      ["❯  2  rest-api", "\r"],
      ["Language", "3\r"],
      ["(my-rest-api)", "Taken\r"],
      // What was refused stands there again: it is corrected, not typed anew.
      ["is no name", "\u0015taken\r"],
      ["There is taken already", `${"\u007f".repeat(5)}my-taskx\u007fs\r`],
    ]);
    assert.deepEqual([code, err], [0, "sane\n"], out);
    assert.match(out, /Created app my-tasks in my-tasks from template rest-api \(Python\)/);
    assert.match(read(cwd, "my-tasks/colibri.yaml"), /^app: my-tasks$/m);
  });

  test("a path is a name's place, and what was refused is still there", async (t) => {
    const cwd = write(temporaryFolder(t), { "taken/file": "" });
    const { code, out } = await typing(
      cwd,
      [
        ["(my-hello)", "./+++\r"],
        ["makes no name", "\u007f\u007f\u007fapps/My Shop\r"],
      ],
      ...["--template", "hello", "--language", "nodejs"],
    );
    assert.equal(code, 0, out);
    assert.match(out, /Created app my-shop in apps\/My Shop from/);
    assert.match(out, /colibri deploy 'apps\/My Shop'/);
    assert.match(read(cwd, "apps/My Shop/colibri.yaml"), /^app: my-shop$/m);
    const again = await typing(
      cwd,
      [
        ["(my-hello)", "taken\r"],
        ["There is taken already", "-2\r"],
      ],
      ...["--template", "hello", "--language", "nodejs"],
    );
    assert.match(again.out, /Created app taken-2 in taken-2 from/);
  });

  test("~ in a path is the home", async (t) => {
    const [cwd, home] = [temporaryFolder(t), temporaryFolder(t)];
    const args = ["--template", "hello", "--language", "nodejs"];
    const { code, out } = await typingWith({ ...ENV, HOME: home }, cwd, [["(my-hello)", "~/shop\r"]], ...args);
    assert.equal(code, 0, out);
    assert.deepEqual([readdirSync(cwd), readdirSync(home)], [[], ["shop"]]);
  });

  test("a number of two digits, all typed ahead, and the name that is proposed", async (t) => {
    const cwd = temporaryFolder(t);
    const { code, out } = await typing(cwd, [["Template", "10\r\r"]]);
    assert.equal(code, 0, out);
    assert.deepEqual(readdirSync(cwd), ["my-detect-language"]);
  });

  test("only what is missing is asked for", async (t) => {
    const cwd = temporaryFolder(t);
    const { code, out } = await typing(cwd, [["Language", "\r"]], "shop", "--template", "hello");
    assert.equal(code, 0, out);
    assert.doesNotMatch(out, /Name of the app/);
    assert.match(read(cwd, "shop/colibri.yaml"), /handler: index\.mjs/);
  });

  test("Ctrl-C ends it at every question, and leaves the terminal as it was", async (t) => {
    const cwd = temporaryFolder(t);
    const steps: readonly (readonly Step[])[] = [
      [["Template", "\u0003"]],
      [
        ["Template", "\r"],
        ["Language", "\u0003"],
      ],
      [
        ["Template", "4\r"],
        ["(my-asgi)", "my-ap\u0003"],
      ],
    ];
    for (const typed of steps) {
      const { code, out, err } = await typing(cwd, typed);
      assert.deepEqual([code, err], [130, "sane\n"], out);
      assert.match(out, /Interrupted: nothing was written/);
    }
    assert.deepEqual(readdirSync(cwd), []);
  });

  test("Ctrl-C while a repository is fetched ends that too, and nothing is left of it", async (t) => {
    const cwd = temporaryFolder(t);
    const tools = write(temporaryFolder(t), {
      git: "#!/bin/sh\necho fetching > /dev/tty\nexec sleep 30\n",
      "tmp/.keep": "",
    });
    chmodSync(join(tools, "git"), 0o755);
    const env = { ...ENV, PATH: `${tools}:${ENV.PATH}`, TMPDIR: join(tools, "tmp") };
    const steps: readonly Step[] = [
      ["(slow)", "\r"],
      ["fetching", "\u0003"],
    ];
    const { code, out } = await typingWith(env, cwd, steps, "--template", "./slow.git");
    assert.equal(code, 130, out);
    assert.match(out, /Interrupted/);
    assert.deepEqual([readdirSync(cwd), readdirSync(join(tools, "tmp"))], [[], [".keep"]]);
  });
});
