import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Row, Target } from "./lib/report.ts";
import { quantile, run, stop } from "./lib/tools.ts";

export interface ReloadOptions {
  readonly samples: number;
}

/** Something that runs a file and follows it. */
interface Contender {
  readonly name: string;
  readonly runtime: string;
  readonly child: ChildProcess;
  readonly url: string;
  /** The file that is saved, and its text for an answer. */
  readonly file: string;
  readonly text: (answer: string) => string;
  readonly samples: number[];
}

const PATIENCE_MS = 30_000;
const POLL_MS = 2;
/** Between two saves, as if somebody had looked at the answer. */
const LOOK_MS = 500;

const NODE = (answer: string) => `export default () => ${JSON.stringify(answer)};\n`;
const TYPESCRIPT = (answer: string) =>
  `const answer: string = ${JSON.stringify(answer)};\nexport default (): string => answer;\n`;
const PYTHON = (answer: string) => `def handler(input, context):\n    return ${JSON.stringify(answer)}\n`;
const WORKER = (answer: string) => `export default { fetch: () => new Response(${JSON.stringify(answer)}) };\n`;
const SERVER = (answer: string) =>
  `import { createServer } from "node:http";\ncreateServer((_, response) => response.end(${JSON.stringify(answer)})).listen(Number(process.env.PORT), "127.0.0.1");\n`;
const CONFIG = `app: bench
functions:
  node: { runtime: nodejs, handler: index.mjs }
  typescript: { runtime: nodejs, handler: index.ts }
  python: { runtime: python, handler: handler.py }
`;

/**
 * From a save until the first answer of the new code, for somebody who asks again and again. Beside it other tools on a server or
 * worker of the same size, in alternation. Those that are no dependency of ours are fetched by npm into a temporary folder.
 */
export async function benchReload(targets: readonly Target[], { samples }: ReloadOptions): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "colibri-reload-"));
  const contenders: Contender[] = [];
  try {
    for (const [index, target] of targets.entries())
      contenders.push(...(await startColibri(target, join(folder, `colibri-${index}`))));
    contenders.push(await startServer("node --watch", process.execPath, ["--watch"], join(folder, "watch"), 47_310));
    for (const start of [startNodemon, startWrangler]) {
      const started = await start(folder).catch((error: Error) =>
        console.error(`bench: ${error.message.split("\n")[0]}`),
      );
      if (started) contenders.push(started);
    }
    for (const contender of contenders) await answers(contender, "0");
    for (let sample = 1; sample <= samples; sample++)
      for (const contender of contenders) contender.samples.push(await reload(contender, String(sample)));
    return contenders.map(row);
  } finally {
    for (const child of new Set(contenders.map((contender) => contender.child))) await stop(child);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function row({ name, runtime, samples }: Contender): Row {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (q: number) => quantile(sorted, q).toFixed(0);
  return {
    bench: "reload",
    contender: name,
    runtime,
    samples: samples.length,
    "p50 ms": at(0.5),
    "p90 ms": at(0.9),
    "max ms": at(1),
  };
}

async function startColibri({ name, folder }: Target, app: string): Promise<Contender[]> {
  const kinds = [
    { runtime: "node", file: "index.mjs", text: NODE },
    { runtime: "typescript", file: "index.ts", text: TYPESCRIPT },
    { runtime: "python", file: "handler.py", text: PYTHON },
  ];
  for (const { runtime, file, text } of kinds) write(join(app, runtime, file), text("0"));
  write(join(app, "colibri.yaml"), CONFIG);
  const child = spawn(process.execPath, [join(folder, "bin", "colibri"), "dev", app, "--port", "0"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    let said = "";
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}:\n${said}`)));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (found && said.includes("Ctrl-C")) resolve(found[0]);
    });
  });
  return kinds.map(({ runtime, file, text }) => ({
    ...{ name: `${name} dev`, runtime, child, url: `${url}/fn/bench/${runtime}`, text, samples: [] },
    file: join(app, runtime, file),
  }));
}

async function startServer(
  name: string,
  program: string,
  args: readonly string[],
  folder: string,
  port: number,
): Promise<Contender> {
  const file = join(folder, "server.mjs");
  write(file, SERVER("0"));
  const child = spawn(program, [...args, file], {
    cwd: folder,
    stdio: "ignore",
    env: { ...process.env, PORT: String(port) },
  });
  return { name, runtime: "node", child, url: `http://127.0.0.1:${port}/`, file, text: SERVER, samples: [] };
}

async function startNodemon(folder: string): Promise<Contender> {
  const program = await install("nodemon", folder);
  return startServer("nodemon", process.execPath, [program, "--quiet"], join(folder, "with-nodemon"), 47_311);
}

async function startWrangler(folder: string): Promise<Contender> {
  const program = await install("wrangler", folder);
  const app = join(folder, "with-wrangler");
  const file = join(app, "index.mjs");
  write(file, WORKER("0"));
  const args = [
    program,
    "dev",
    file,
    "--port",
    "47312",
    "--ip",
    "127.0.0.1",
    "--compatibility-date",
    "2025-01-01",
    "--local",
    "--show-interactive-dev-session=false",
  ];
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1" };
  const child = spawn(process.execPath, args, { cwd: app, stdio: "ignore", env });
  return {
    name: "wrangler dev",
    runtime: "worker",
    child,
    url: "http://127.0.0.1:47312/",
    file,
    text: WORKER,
    samples: [],
  };
}

/** The program of a package that is installed for this run alone. @throws saying that it could not be had. */
async function install(name: string, folder: string): Promise<string> {
  const place = join(folder, `npm-${name}`);
  mkdirSync(place);
  try {
    await run("npm", ["install", "--prefix", place, "--no-audit", "--no-fund", "--loglevel=error", name]);
  } catch (error) {
    throw new Error(
      `${name} could not be had, and is left out (${(error as Error).message.replaceAll("\n", " ").slice(0, 200)})`,
    );
  }
  const manifest = await import(join(place, "node_modules", name, "package.json"), { with: { type: "json" } });
  const { bin } = manifest.default;
  return join(place, "node_modules", name, typeof bin === "string" ? bin : bin[name]);
}

async function reload(contender: Contender, answer: string): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  writeFileSync(contender.file, contender.text(answer));
  const begun = performance.now();
  await answers(contender, answer);
  return performance.now() - begun;
}

async function answers({ name, url }: Contender, answer: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  let last = "";
  while (last !== answer) {
    if (performance.now() > end)
      throw new Error(`${name} does not answer ${answer} within ${PATIENCE_MS} ms, but ${last}`);
    last = await ask(url).catch((error: Error) => error.message);
    if (last !== answer) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** On a connection of its own: servers that start again drop those they had. */
function ask(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent: false }, async (response) => {
      resolve(Buffer.concat(await response.toArray()).toString("utf8"));
    });
    asked.once("error", reject).end();
  });
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
