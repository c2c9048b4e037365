import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Command, Option } from "commander";
import { createContext } from "./context.ts";
import { EXIT } from "./failure.ts";
import { onTerminal } from "./fixture/run.ts";
import { createProgram } from "./program.ts";

const DOCUMENT = readFileSync(new URL("../docs/cli.md", import.meta.url), "utf8");
const PROGRAM = createProgram(createContext(process), () => {});
const COMMANDS = PROGRAM.commands.filter((command) => command.name() !== "help");

function sectionOf(name: string): string {
  return DOCUMENT.split(/^## /m).find((section) => section.startsWith(`colibri ${name}\n`)) ?? "";
}

function shownOptions(command: Command): Option[] {
  return command.options.filter((option) => option.long !== "--help");
}

describe("docs/cli.md", () => {
  for (const command of COMMANDS)
    test(`has ${command.name()} with every option and an example`, () => {
      const section = sectionOf(command.name());
      assert.notEqual(section, "", "no section");
      for (const option of shownOptions(command))
        assert.ok(section.includes(`\n| \`${option.flags}\` |`), `no row for ${option.flags}`);
      assert.match(section, new RegExp(`npx colibri ${command.name()}`), "no example");
      for (const alias of command.aliases()) assert.ok(section.includes(`\`${alias}\``), `no ${alias}`);
    });

  test("names no command and no option that is not there", () => {
    const names = COMMANDS.map((command) => command.name());
    const sections = [...DOCUMENT.matchAll(/^## colibri (\S+)$/gm)].map((match) => match[1]!);
    assert.deepEqual(sections.sort(), names.sort());
    for (const command of COMMANDS) {
      const rows = [...sectionOf(command.name()).matchAll(/^\| `(-[^`]+)` \|/gm)].map((match) => match[1]!);
      assert.deepEqual(
        rows,
        shownOptions(command).map(({ flags }) => flags),
      );
    }
  });

  test("has every exit code", () => {
    for (const code of Object.values(EXIT)) assert.match(DOCUMENT, new RegExp(`^\\| ${code} \\|`, "m"));
  });
});

describe("--help", () => {
  test("lists every command", async () => {
    const { code, out } = await onTerminal(["--help"]);
    assert.equal(code, 0);
    for (const command of COMMANDS) assert.match(out, new RegExp(`^  ${command.name()}\\b`, "m"));
  });

  for (const command of COMMANDS)
    test(`of ${command.name()} has examples, which the command takes`, async () => {
      const { code, out, err } = await onTerminal([command.name(), "--help"]);
      assert.deepEqual([code, err], [0, ""]);
      const examples = [...out.matchAll(/^ {2}\$ npx colibri (.+)$/gm)].map((match) => match[1]!);
      assert.ok(examples.length > 0, "no examples");
      for (const example of examples) checkExample(command, example);
    });
});

/** Words as a shell splits them, up to a redirection. */
function checkExample(command: Command, example: string): void {
  const words = (/^[^<>]*/.exec(example)![0].match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'|'$/g, ""));
  assert.equal(words[0], command.name());
  const { unknown, operands } = command.parseOptions(words.slice(1));
  assert.deepEqual(unknown, [], example);
  const required = command.registeredArguments.filter((argument) => argument.required).length;
  assert.ok(operands.length >= required && operands.length <= command.registeredArguments.length, example);
}

test("hints name commands as they can be typed in a checkout", () => {
  const files = globSync(["cli/**/*.ts", "contract/**/*.ts", "platform/src/**/*.ts"]);
  assert.ok(files.length > 100);
  const names = COMMANDS.map((command) => command.name()).join("|");
  const bare = new RegExp(`.*(?<!npx )\\bcolibri (?:${names}|--)\\b.*`, "g");
  for (const file of files.filter((path) => !path.endsWith(".test.ts")))
    assert.deepEqual(readFileSync(file, "utf8").match(bare) ?? [], [], file);
});
