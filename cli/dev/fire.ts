import { request } from "node:http";
import type { Fired } from "#platform/dev/index.ts";
import { asideOf, devRoot, type RunningDev, runningDevs } from "#platform/main/dev/dev-home.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { showSpan } from "../output/units.ts";
import type { Surroundings } from "../surroundings.ts";
import { parseFunctionName } from "../target.ts";

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
  const answer = JSON.parse(body);
  if (status !== 200) throw new CliError(answer.detail ?? body, { code: answer.code });
  const fired: Fired = answer;
  if (fired.answer !== "") surroundings.stdout.write(fired.answer.endsWith("\n") ? fired.answer : `${fired.answer}\n`);
  if (fired.outcome !== "ok")
    throw new CliError(`${name}, fired for ${fired.schedule}, failed: ${fired.message}`, { code: fired.outcome });
  surroundings.stderr.write(`Fired ${fired.schedule} of ${name}: status ${fired.status}, ${showSpan(fired.tookMs)}.\n`);
  return EXIT.ok;
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
