import { count } from "#contract/count.ts";
import { type Finding, fail, type Verdict } from "../doctor/finding.ts";
import { type Clean, checkLeftovers } from "../doctor/leftovers.ts";
import { checkMachine, readKernelFile } from "../doctor/machine.ts";
import { checkPlace } from "../doctor/place.ts";
import { checkNode, checkNpm, checkPip, checkPython } from "../doctor/programs.ts";
import { checkSandboxes } from "../doctor/sandboxes.ts";
import { checkSettings, readSettings } from "../doctor/settings.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { type FormatOptions, print } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { type Colour, createStyle, type Style } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";

const SIGNS: Readonly<Record<Verdict, readonly [string, Colour]>> = {
  ok: ["✓", "green"],
  warn: ["!", "yellow"],
  fail: ["✗", "red"],
  info: ["·", "dim"],
};

export interface DoctorOptions extends FormatOptions {
  readonly clean?: Clean;
}

export async function doctor(surroundings: Surroundings, options: DoctorOptions): Promise<ExitCode> {
  const findings = await examine(surroundings, options.clean);
  const failed = findings.filter(({ verdict }) => verdict === "fail").length;
  const text = (): string => renderFindings(findings, createStyle(surroundings.stdout, surroundings.env));
  surroundings.stdout.write(await print({ data: { ok: failed === 0, findings }, text }, options));
  return failed === 0 ? EXIT.ok : EXIT.failure;
}

async function examine(surroundings: Surroundings, clean: Clean | undefined): Promise<Finding[]> {
  const { env } = surroundings;
  const settings = readSettings(surroundings);
  const [programs, sandboxes] = await Promise.all([
    Promise.all([checkPython(env), checkPip(env), checkNpm(env)]),
    checkSandboxes(env, settings),
  ]);
  const place = await checkPlace(surroundings, sandboxes.containersWork).catch(whatIsWrong);
  return [
    checkNode(process.versions.node, process.execPath),
    ...programs,
    ...checkMachine(readKernelFile),
    ...sandboxes.findings,
    ...checkSettings(settings, env),
    ...place,
    ...(await checkLeftovers(clean)),
  ];
}

/** Where the variables name no address that could be asked. */
function whatIsWrong(error: unknown): Finding[] {
  if (!(error instanceof CliError)) throw error;
  return [fail("platform", error.message, error.hints.join(" ") || "Correct the variable, or unset it.")];
}

export function renderFindings(findings: readonly Finding[], style: Style): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = findings.map(({ check, verdict, detail, remedy }) => {
    const [sign, colour] = SIGNS[verdict];
    const advice = remedy === undefined ? "" : `  ${" ".repeat(width)}  ${style("bold", `→ ${printable(remedy)}`)}\n`;
    return `${style(colour, sign)} ${printable(check).padEnd(width)}  ${printable(detail)}\n${advice}`;
  });
  const failed = findings.filter(({ verdict }) => verdict === "fail").length;
  const warned = findings.filter(({ verdict }) => verdict === "warn").length;
  const end =
    failed > 0
      ? `${count(failed, "problem")} must be solved before Colibri works here.`
      : warned > 0
        ? `Colibri works here; ${count(warned, "thing")} could be better.`
        : "Everything is fine.";
  return `${lines.join("")}\n${end}\n`;
}
