import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";

const SOCKET = "guest.sock";
const OTHER = "other";

/**
 * Puts something else where the host will connect to: the way and the target that the host names in `order`, over and over, since
 * after the first nobody can be asked any more.
 */
export default function replace() {
  process.chdir("/run/colibri");
  let done = "";
  setInterval(() => {
    const order = read("order");
    if (order === done || !order.endsWith(";")) return;
    const [way, target] = order.slice(0, -1).split(" ");
    let result = "done";
    try {
      for (const path of [SOCKET, OTHER]) rmSync(path, { recursive: true, force: true });
      WAYS[way](target);
    } catch (error) {
      result = error.code ?? String(error);
    }
    done = order;
    writeFileSync("result", `${order}${result};`);
  }, 2);
  return {};
}

const WAYS = {
  link: (target) => symlinkSync(target, SOCKET),
  // In two steps, of which the second leads out.
  links(target) {
    const slash = target.lastIndexOf("/");
    symlinkSync(target.slice(0, slash), OTHER);
    symlinkSync(`${OTHER}${target.slice(slash)}`, SOCKET);
  },
  upwards: (target) => symlinkSync(`../../../../../../../../..${target}`, SOCKET),
  process: (target) => symlinkSync(`/proc/self/root${target}`, SOCKET),
  renamed(target) {
    symlinkSync(target, OTHER);
    renameSync(OTHER, SOCKET);
  },
  hardLink(target) {
    symlinkSync(target, OTHER);
    linkSync(OTHER, SOCKET);
  },
  folder: () => mkdirSync(SOCKET),
  pipe: () => spawnSync("/usr/bin/mkfifo", [SOCKET]),
  file: () => writeFileSync(SOCKET, "x"),
};

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
