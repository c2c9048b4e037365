import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Command, Option } from "commander";
import { EXIT } from "./failure.ts";
import { onTerminal } from "./fixture/run.ts";
import { pathOf } from "./program/command.ts";
import { createProgram } from "./program.ts";
import { createSurroundings } from "./surroundings.ts";

const DOCUMENT = readFileSync(new URL("../docs/cli.md", import.meta.url), "utf8");
const PROGRAM = createProgram(createSurroundings(process), () => {});
const COMMANDS = shownCommands(PROGRAM);
/** Those that do something, groups left out. */
const LEAVES = COMMANDS.flatMap((command) => (command.commands.length > 0 ? shownCommands(command) : [command]));
/** Explained once for all. */
const COMMON = new Set(["--json", "-o, --output <format>", "--tenant <name>", "--context <context>"]);

function shownCommands({ commands }: Command): Command[] {
  return commands.filter((command) => command.name() !== "help" && !command.name().startsWith("__"));
}

function sectionOf(command: Command): string {
  const name = pathOf(command).split(" ")[0]!;
  return DOCUMENT.split(/^## /m).find((section) => section.startsWith(`colibri ${name}\n`)) ?? "";
}

function ownOptions(command: Command): Option[] {
  return command.options.filter(({ flags, long }) => !COMMON.has(flags) && long !== "--help");
}

describe("docs/cli.md", () => {
  for (const command of LEAVES)
    test(`has ${pathOf(command)} with every option and an example`, () => {
      const section = sectionOf(command);
      assert.notEqual(section, "", "no section");
      assert.ok(DOCUMENT.includes(`| [\`${pathOf(command).split(" ")[0]}\`](#colibri-`), "not in the list at the top");
      for (const option of ownOptions(command))
        assert.ok(section.includes(`\n| \`${option.flags}\` |`), `no row for ${option.flags}`);
      assert.match(section, new RegExp(`npx colibri ${pathOf(command)}`), "no example");
      for (const alias of command.aliases()) assert.ok(section.includes(`\`${alias}\``), `no ${alias}`);
    });

  test("names no command and no option that is not there", () => {
    const sections = [...DOCUMENT.matchAll(/^## colibri (\S+)$/gm)].map((match) => match[1]!);
    assert.deepEqual(sections.sort(), COMMANDS.map((command) => command.name()).sort());
    for (const command of COMMANDS) {
      const all = [...sectionOf(command).matchAll(/^\| `(-[^`]+)` \|/gm)].map((match) => match[1]!);
      // What is common may be explained more closely.
      const rows = all.filter((flags) => !COMMON.has(flags));
      const leaves = command.commands.length > 0 ? shownCommands(command) : [command];
      const flags = new Set(leaves.flatMap((leaf) => ownOptions(leaf).map((option) => option.flags)));
      assert.deepEqual(rows, [...flags], command.name());
    }
  });

  test("explains what all commands take", () => {
    for (const flags of COMMON) assert.ok(DOCUMENT.includes(`\n| \`${flags}\` |`), flags);
  });

  test("says which commands print in which form", () => {
    for (const command of LEAVES) {
      const choices = command.options.find(({ long }) => long === "--output")?.argChoices;
      const row = new RegExp(`^\\| \`${pathOf(command)}\` \\| (.*) \\|$`, "m").exec(DOCUMENT)?.[1];
      assert.equal(row?.replaceAll("`", ""), choices?.join(", "), pathOf(command));
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

  for (const command of [...LEAVES, ...COMMANDS.filter(({ commands }) => commands.length > 0)])
    test(`of ${pathOf(command)} has examples, which the command takes`, async () => {
      const { code, out, err } = await onTerminal([...pathOf(command).split(" "), "--help"]);
      assert.deepEqual([code, err], [0, ""]);
      const examples = [...out.matchAll(/^ {2}\$ npx colibri (.+)$/gm)].map((match) => match[1]!);
      assert.ok(examples.length > 0, "no examples");
      for (const example of examples) checkExample(example);
    });

  test("whoever speaks for a tenant can choose the platform", () => {
    for (const { options, name } of LEAVES.map((leaf) => ({ options: leaf.options, name: pathOf(leaf) })))
      if (options.some(({ long }) => long === "--tenant"))
        assert.ok(
          options.some(({ long }) => long === "--context"),
          name,
        );
  });
});

/** Words as a shell splits them, up to a redirection. */
function checkExample(example: string): void {
  const words = (/^[^<>]*/.exec(example)![0].match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'|'$/g, ""));
  const top = COMMANDS.find((candidate) => candidate.name() === words[0]);
  const inner = top?.commands.find((candidate) => candidate.name() === words[1]);
  const command = inner ?? top;
  assert.ok(command !== undefined, example);
  const { unknown, operands } = command.parseOptions(words.slice(inner === undefined ? 1 : 2));
  assert.deepEqual(unknown, [], example);
  const required = command.registeredArguments.filter((argument) => argument.required).length;
  const most = command.registeredArguments.some(({ variadic }) => variadic) ? 99 : command.registeredArguments.length;
  assert.ok(operands.length >= required && operands.length <= most, example);
}

test("hints name commands as they can be typed in a checkout", () => {
  const files = globSync(["cli/**/*.ts", "contract/**/*.ts", "platform/src/**/*.ts"]);
  assert.ok(files.length > 100);
  const names = COMMANDS.map((command) => command.name()).join("|");
  const bare = new RegExp(`.*(?<!npx )\\bcolibri (?:${names}|--)\\b.*`, "g");
  for (const file of files.filter((path) => !path.endsWith(".test.ts")))
    assert.deepEqual(readFileSync(file, "utf8").match(bare) ?? [], [], file);
});
