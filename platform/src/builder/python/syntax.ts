import { buildFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";

/** Compiles without running, and says what is wrong as Python would, without its own traceback. */
const CHECK = `
import sys
name = sys.argv[1]
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
`;

/** Finds a syntax error in a Python handler when it is deployed and not when it is called. */
export async function checkPython(
  job: Job,
  environment: ToolEnvironment,
  python: readonly string[],
  file: string,
): Promise<void> {
  job.onStep(`Checking ${file}`);
  const outcome = await job.run({
    name: "python3",
    command: python,
    args: ["-I", "-S", "-B", "-W", "ignore", "-c", CHECK, file],
    folder: job.source,
    environment: environment.variables,
    isQuiet: true,
  });
  if (outcome.kind === "missing") throw buildFailed("Python 3 is not installed on the host of the platform.");
  if (outcome.code !== 0) throw buildFailed(`The handler has a syntax error:\n${outcome.lines.slice(-5).join("\n")}`);
}
