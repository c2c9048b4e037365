/** For tests: pnpm and Yarn as the public registry has them, published in a registry on this machine, and used as authors use them. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Files, Registry } from "./builder.fixture.ts";
import { PINNED_TOOLS, type PinnedTool } from "./node/pinned-tools.ts";

const run = promisify(execFile);

export const TOOLS: readonly PinnedTool[] = [...PINNED_TOOLS.pnpm, ...PINNED_TOOLS.yarn].map(({ tool }) => tool);

export interface Toolshop {
  /** The lock file that the tool writes for these files; asks the registry. */
  lockOf(tool: PinnedTool, files: Files): Promise<Files>;
  close(): Promise<void>;
}

export async function openToolshop(registry: Registry): Promise<Toolshop> {
  const folder = await mkdtemp(join(tmpdir(), "colibri-tools-"));
  const specs = TOOLS.map(({ packageName, version }) => `${packageName}@${version}`);
  await run("npm", ["pack", "--prefer-offline", "--silent", ...specs], { cwd: folder });
  for (const tool of TOOLS) await publishTool(registry, tool, folder);
  return {
    async lockOf(tool, files) {
      const project = await mkdtemp(join(folder, "project-"));
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(project, path)), { recursive: true });
        await writeFile(join(project, path), content);
      }
      const program = join(folder, nameOf(tool), tool.program);
      await run(process.execPath, [program, ...ARGS[tool.kind]], {
        cwd: project,
        env: { ...environmentOf(registry, project), ...tool.variables },
      });
      const name = tool.manager === "pnpm" ? "pnpm-lock.yaml" : "yarn.lock";
      return { ...files, [name]: await readFile(join(project, name), "utf8") };
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

const ARGS = {
  pnpm: ["install", "--lockfile-only"],
  classic: ["install", "--ignore-scripts", "--no-progress"],
  berry: ["install", "--mode=update-lockfile"],
};

function environmentOf(registry: Registry, project: string): Record<string, string> {
  return {
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    HOME: join(project, ".home"),
    npm_config_registry: registry.url,
    YARN_NPM_REGISTRY_SERVER: registry.url,
    YARN_UNSAFE_HTTP_WHITELIST: "127.0.0.1",
    YARN_ENABLE_TELEMETRY: "0",
    YARN_ENABLE_IMMUTABLE_INSTALLS: "0",
    YARN_ENABLE_SCRIPTS: "0",
    YARN_CACHE_FOLDER: join(project, ".cache"),
    YARN_NODE_LINKER: "node-modules",
  };
}

function nameOf({ packageName, version }: PinnedTool): string {
  return `${packageName.replace("@", "").replace("/", "-")}-${version}`;
}

async function publishTool(registry: Registry, tool: PinnedTool, folder: string): Promise<void> {
  const { packageName, version, integrity } = tool;
  const file = join(folder, `${nameOf(tool)}.tgz`);
  await mkdir(join(folder, nameOf(tool)));
  await run("tar", ["xzf", file, "-C", join(folder, nameOf(tool)), "--strip-components=1"]);
  const path = `/${packageName}/-/${nameOf(tool)}.tgz`;
  registry.pages.set(path, await readFile(file));
  const before = registry.pages.get(`/${packageName}`);
  const versions = before === undefined ? {} : JSON.parse(String(before)).versions;
  versions[version] = { name: packageName, version, dist: { tarball: registry.url + path, integrity } };
  registry.pages.set(
    `/${packageName}`,
    JSON.stringify({ name: packageName, "dist-tags": { latest: version }, versions }),
  );
}
