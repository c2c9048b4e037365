import { request } from "node:http";
import { number, object, optional, parseJson, ShapeError, type TypeOf, text } from "#contract/shape.ts";
import { asideOf, devRoot, type RunningDev, runningDevs } from "#platform/main/dev/dev-home.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { showSpan } from "../output/units.ts";
import type { Surroundings } from "../surroundings.ts";
import { parseFunctionName } from "../target.ts";

const LONGEST = 1 << 20;
const firedShape = object({
  ...{ invocation: text(), function: text(), schedule: text(), outcome: text(), status: optional(number()) },
  ...{ message: optional(text(LONGEST)), tookMs: number(), answer: text(LONGEST) },
});
const problemShape = object({ detail: text(LONGEST), code: text() });

/** Fires a timer of a function that is run in another terminal. */
export async function fireTimer(
  surroundings: Surroundings,
  name: string,
  timer: string | undefined,
): Promise<ExitCode> {
  const target = parseFunctionName(name);
  const dev = chooseDev(surroundings, target.app);
  const query = timer === undefined ? "" : `?timer=${encodeURIComponent(timer)}`;
  const { status, body } = await post(`${asideOf(dev)}/fire/${target.app}/${target.function}${query}`);
  const fired = readFired(dev, status, body);
  if (fired.answer !== "") surroundings.stdout.write(fired.answer.endsWith("\n") ? fired.answer : `${fired.answer}\n`);
  if (fired.outcome !== "ok")
    throw new CliError(`${name}, fired for ${fired.schedule}, failed: ${fired.message}`, { code: fired.outcome });
  surroundings.stderr.write(`Fired ${fired.schedule} of ${name}: status ${fired.status}, ${showSpan(fired.tookMs)}.\n`);
  return EXIT.ok;
}

/** @throws CliError with what dev says, or where the address is another program's by now. */
function readFired(dev: RunningDev, status: number, body: string): TypeOf<typeof firedShape> {
  try {
    if (status === 200) return parseJson(firedShape, body, dev.url);
    const { detail, code } = parseJson(problemShape, body, dev.url);
    throw new CliError(detail, { code });
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new CliError(`At ${dev.url}, where ${dev.app} was run, another program answers now.`, {
      exit: EXIT.unreachable,
      hints: [`Start it again: npx colibri dev ${dev.folder}`],
      cause: error,
    });
  }
}

function chooseDev({ cwd }: Surroundings, app: string): RunningDev {
  const all = runningDevs(devRoot());
  const fitting = all.filter((dev) => dev.app === app);
  const here = fitting.find(({ folder }) => cwd === folder || cwd.startsWith(`${folder}/`));
  const chosen = here ?? (fitting.length === 1 ? fitting[0] : undefined);
  if (chosen !== undefined) return chosen;
  if (fitting.length > 1)
    throw new CliError(
      `The app ${app} is run ${fitting.length} times: by ${fitting.map(({ folder }) => folder).join(", ")}.`,
      {
        hints: ["Run this command in the folder of the one that is meant."],
      },
    );
  const others = all.length === 0 ? "Nothing is" : `Only ${all.map((dev) => dev.app).join(", ")} is`;
  throw new CliError(`${others} run by \`npx colibri dev\` now.`, {
    exit: EXIT.unreachable,
    hints: ["Start it in another terminal: npx colibri dev <folder>"],
  });
}

function post(url: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST" }, async (answer) => {
      const chunks = await answer.toArray().catch(reject);
      resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks ?? []).toString("utf8") });
    });
    sent.once("error", (cause) => reject(new CliError(`${url} does not answer.`, { exit: EXIT.unreachable, cause })));
    sent.end();
  });
}
