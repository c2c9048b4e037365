// Paths of the machine someone works on: they work for nobody else.
import { type File, type Finding, finding } from "./source.ts";

// Where a checkout may sit without the name telling anything: these occur in honest text.
const EVERYONES = new Set([
  "/",
  "/app",
  "/build",
  "/home",
  "/mnt",
  "/opt",
  "/root",
  "/srv",
  "/tmp",
  "/usr",
  "/var",
  "/var/tmp",
]);

/** `checkouts` are the folders of this checkout and of the repository it belongs to. */
export function checkMachine(files: File[], checkouts: string[]): Finding[] {
  const folders = checkouts.flatMap((folder) => [folder, folder.slice(0, folder.lastIndexOf("/"))]);
  const telling = [...new Set(folders)].filter((folder) => folder !== "" && !EVERYONES.has(folder));
  return files.flatMap((file) => {
    const found = telling.map((folder) => indexOfPath(file.text, folder)).find((at) => at !== -1);
    return found === undefined ? [] : [finding(file, found, "an absolute path of this machine: make it relative")];
  });
}

/** A whole path, not the tail of another: `/a/home/b` does not name `/home`. */
function indexOfPath(text: string, folder: string): number {
  for (let at = text.indexOf(folder); at !== -1; at = text.indexOf(folder, at + 1)) {
    const next = text[at + folder.length] ?? " ";
    if (!/[\w.~/-]/.test(text[at - 1] ?? " ") && (next === "/" || !/[\w.-]/.test(next))) return at;
  }
  return -1;
}
