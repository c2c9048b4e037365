import ignore, { type Ignore } from "ignore";

/** Left out of every upload unless an ignore file says otherwise: what tools make, and what the platform installs itself. */
export const DEFAULT_IGNORES: readonly string[] = Object.freeze([
  ".git",
  ".hg",
  ".svn",
  ".colibri",
  ".colibri-dev",
  "node_modules",
  "__pycache__",
  "*.pyc",
  ".venv",
  ".pytest_cache",
  ".mypy_cache",
  ".ruff_cache",
  ".tox",
  ".nyc_output",
  "coverage/",
  ".DS_Store",
]);

/** Left out of uploads too: they are of the app, not of its code, where a function's folder is the app's own. */
export const APP_FILES: readonly string[] = ["/colibri.yaml", "/colibri.test.yaml", "/colibri.schema.json"];

export const IGNORE_FILE = ".colibriignore";

export interface IgnoreRules {
  /** Adds the lines of the ignore file in `folder`, a relative path or empty. */
  add(folder: string, text: string): void;
  ignores(path: string, isFolder: boolean): boolean;
}

/** Rules with gitignore's syntax and order: the last line that matches decides, and deeper files come later. */
export function createIgnoreRules(lines: readonly string[]): IgnoreRules {
  const rules: Ignore = ignore({ ignorecase: false }).add(lines);
  return {
    add: (folder, text) => void rules.add(text.split(/\r?\n/).map((line) => moved(line, folder))),
    ignores: (path, isFolder) => rules.ignores(isFolder ? `${path}/` : path),
  };
}

/** The line that means at the root what `line` means in `folder`. */
function moved(line: string, folder: string): string {
  if (folder === "" || line.trim() === "" || line.startsWith("#")) return line;
  const not = line.startsWith("!") ? "!" : "";
  const pattern = line.slice(not.length);
  const prefix = `/${folder.replace(/[\\*?[\]]/g, "\\$&")}/`;
  const bound = pattern.trimEnd().replace(/\/$/, "").includes("/");
  return not + prefix + (bound ? pattern.replace(/^\//, "") : `**/${pattern}`);
}
