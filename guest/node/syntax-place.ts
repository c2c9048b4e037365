import { registerHooks } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

const CHECK_MS = 5_000;
const PLACE = /^(?:file:\/\/)?(\/.*):(\d+)$/m;

/**
 * The same error with file and line in its message. Node keeps the place of a module's syntax error to itself: so the file that
 * was read last is found by importing again, and its line by having it checked. Slow, but the guest has failed anyway.
 */
export async function placeSyntaxError(error: SyntaxError, url: string, root: string): Promise<SyntaxError> {
  const text = error.stack ?? "";
  const place = PLACE.exec(text) ?? checkFile(await lastFileOf(url));
  if (place === null) return error;
  const file = relative(root, place[1]!);
  const placed = new SyntaxError(`${file.startsWith("..") ? place[1] : file}:${place[2]}: ${error.message}`);
  placed.stack = PLACE.test(text) ? text : `${place.input.trim()}\n`;
  return placed;
}

/** The file whose reading was followed by the failure. */
async function lastFileOf(url: string): Promise<string> {
  let last = url;
  const hooks = registerHooks({
    load(loaded, context, next) {
      last = loaded;
      return next(loaded, context);
    },
  });
  try {
    await import(`${url}?again`);
  } catch {
    // As the first time.
  } finally {
    hooks.deregister();
  }
  return last.startsWith("file:") ? fileURLToPath(last.replace(/\?again$/, "")) : "";
}

function checkFile(path: string): RegExpExecArray | null {
  if (path === "") return null;
  // Rarely needed, and loading it costs each idle guest memory.
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const check = spawnSync(process.execPath, ["--check", path], { timeout: CHECK_MS, encoding: "utf8" });
  return PLACE.exec(check.stderr ?? "");
}
