import { closeSync, fstatSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

const SECRET = /canary-[0-9a-f]{16}/;
const LARGEST = 256 * 1024;
const MOST_FILES = 20_000;
/** Programs, libraries, and what never ends. */
const LEFT_OUT =
  /^\/(?:usr|bin|lib\w*|sbin|sys|proc\/(?!1\/|self\/|\d+\/(?:environ|cmdline|maps|status)$)\d+\/)|\/(?:task|pagemap|mem|clear_refs)$/;

/** Whatever can be read from the root down, and from the names of the host's files, by every way to a root there is. */
export default function read({ paths }) {
  const found = [];
  let files = 0;
  const look = (path) => {
    files++;
    const text = textOf(path);
    if (text !== undefined && SECRET.test(text)) found.push(path);
  };
  const walk = (folder) => {
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      if (files > MOST_FILES || LEFT_OUT.test(path)) continue;
      if (isFolder(path)) walk(path);
      else look(path);
    }
  };
  walk("/");
  const roots = ["", "/proc/1/root", "/proc/self/root", "/proc/1/cwd/../../..", "/proc/thread-self/root/../.."];
  for (const root of roots) for (const path of paths) look(`${root}${path}`);
  for (const fd of namesIn("/proc/1/fd")) for (const path of paths) look(`/proc/1/fd/${fd}/../..${path}`);
  const readable = paths.filter((path) => textOf(path) !== undefined);
  return { found, files, readable, environment: Object.keys(process.env), hostname: hostname(), ...machine() };
}

/** What the kernel tells of the machine. */
function machine() {
  const told = `kallsyms kcore keys key-users kmsg config.gz sched_debug timer_list slabinfo vmallocinfo iomem modules cmdline
    sysrq-trigger partitions diskstats misc softirqs interrupts bus/pci/devices sys/kernel/hostname`;
  const texts = told.split(/\s+/).map((name) => [name, textOf(`/proc/${name}`)?.slice(0, 200) ?? ""]);
  const hardware = ["bus", "fs"].flatMap((name) => namesIn(`/proc/${name}`).map((found) => `/proc/${name}/${found}`));
  return { hardware, told: Object.fromEntries(texts.filter(([, text]) => text !== "")) };
}

function textOf(path) {
  try {
    // Pipes and terminals would make it wait.
    const fd = openSync(path, 0o4000);
    try {
      if (!fstatSync(fd).isFile() && !path.startsWith("/proc/k")) return undefined;
      const bytes = Buffer.alloc(LARGEST);
      let length = 0;
      for (let more = 1; more > 0 && length < LARGEST; length += more)
        more = readSync(fd, bytes, length, LARGEST - length, null);
      return bytes.toString("latin1", 0, length);
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function isFolder(path) {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}

function namesIn(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
