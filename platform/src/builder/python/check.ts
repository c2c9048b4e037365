import { splitHandler } from "#contract/config/handler.ts";
import { buildFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";

/** How the checker ends when the file is sound and lacks what the handler names; it prints what is there instead. */
const LACKS = 3;

/**
 * Compiles without running, and says what is wrong as Python would, without its own traceback. Then looks for one of the names
 * that were given. A file may make names in ways that only running it shows: those files pass.
 */
const CHECK = `
import ast, sys, symtable
name, *wanted = sys.argv[1:]
with open(name, "rb") as file:
    source = file.read()
try:
    compile(source, name, "exec", dont_inherit=True)
except SyntaxError as error:
    line = (error.text or "").rstrip("\\n")[:200]
    print(f"{name}:{error.lineno or 1}:{error.offset or 1}: {error.msg}")
    if line:
        print("  " + line.replace("\\t", " "))
        print("  " + " " * (min(error.offset or 1, 201) - 1) + "^")
    sys.exit(1)
except ValueError as error:
    print(f"{name}:1:1: {error}")
    sys.exit(1)

DYNAMIC = {"globals", "locals", "vars", "exec", "eval", "setattr", "modules", "__dict__"}

def is_dynamic(node):
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    return getattr(node, "id", None) in DYNAMIC or getattr(node, "attr", None) in DYNAMIC

def tables(table):
    yield table
    for child in table.get_children():
        yield from tables(child)

tree = ast.parse(source, name)
if any(is_dynamic(node) for node in ast.walk(tree)):
    sys.exit(0)
top = symtable.symtable(source, name, "exec")
bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
for table in tables(top):
    bound |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_declared_global() and symbol.is_assigned()}
if bound.isdisjoint([*wanted, "__getattr__"]):
    defined = [symbol.get_name() for symbol in top.get_symbols() if symbol.is_namespace()]
    shown = [each for each in defined if not each.startswith("_")]
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    print(", ".join(shown[:20]) + more or "none")
    sys.exit(${LACKS})
`;

/** What the guest takes where the handler names no function; in messages, the first. */
const UNNAMED = ["handler", "app"];

/** Finds a syntax error in a Python handler, and a function that is not there, when it is deployed and not when it is called. */
export async function checkPython(
  job: Job,
  environment: ToolEnvironment,
  python: readonly string[],
  file: string,
): Promise<void> {
  job.onStep(`Checking ${file}`);
  const { export: named } = splitHandler(job.config.handler);
  const outcome = await job.run({
    name: "python3",
    command: python,
    args: ["-I", "-S", "-B", "-W", "ignore", "-c", CHECK, file, ...(named === undefined ? UNNAMED : [named])],
    folder: job.source,
    environment: environment.variables,
    isQuiet: true,
  });
  if (outcome.kind === "missing") throw buildFailed("Python 3 is not installed on the host of the platform.");
  if (outcome.code === LACKS) throw buildFailed(explain(file, named, outcome.lines.join("")));
  if (outcome.code !== 0) throw buildFailed(`The handler has a syntax error:\n${outcome.lines.slice(-5).join("\n")}`);
}

/** In the guest's words, and what would be right. */
function explain(file: string, named: string | undefined, defined: string): string {
  const define =
    named === undefined ? "handler(input, context), or an ASGI application app" : `${named}(input, context)`;
  const other = /^\w+/u.exec(defined)?.[0];
  const name =
    defined === "none" || other === undefined
      ? ""
      : `, or name another one in the configuration: "handler: ${file}#${other}"`;
  return `${file} does not define '${named ?? UNNAMED[0]}'; it defines ${defined}. Define ${define}${name}.`;
}
