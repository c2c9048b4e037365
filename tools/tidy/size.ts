// Hard stops: a function of 70 lines, a file of 600. Half of that is already long.
import { functionsOf, pythonFunctionsOf } from "./functions.ts";
import { type File, type Finding, finding, isFixture, isScript } from "./source.ts";

const FUNCTION_LINES = 70;
const FILE_LINES = 600;
const PROGRAM = /\.(?:py|sh|go|java|sql|css|html)$/;

export function checkSize(files: File[]): Finding[] {
  return files
    .filter((file) => (isScript(file.path) || PROGRAM.test(file.path)) && !isFixture(file.path))
    .flatMap((file) => [...longFile(file), ...longFunctions(file)]);
}

function longFile(file: File): Finding[] {
  const lines = file.text.split("\n").length - 1;
  if (lines <= FILE_LINES) return [];
  return [
    { path: file.path, line: FILE_LINES, message: `${lines} lines: a file ends at ${FILE_LINES}, split it by noun` },
  ];
}

function longFunctions(file: File): Finding[] {
  const functions = file.path.endsWith(".py") ? pythonFunctionsOf(file) : isScript(file.path) ? functionsOf(file) : [];
  return functions
    .filter(({ lines }) => lines > FUNCTION_LINES)
    .map(({ name, start, lines }) =>
      finding(file, start, `${name} has ${lines} lines: a function ends at ${FUNCTION_LINES}, split it by step`),
    );
}
