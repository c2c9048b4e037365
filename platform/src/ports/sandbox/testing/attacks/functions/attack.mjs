import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = dirname(fileURLToPath(import.meta.url));

/** Runs the attack that the input names, with its orders, and answers what it tells: JSON. */
export default async (input) => {
  const { name, orders = {} } = JSON.parse(input);
  const module = join(FOLDER, `${name}.mjs`);
  try {
    if (!existsSync(module)) return await runPython(join(FOLDER, `${name}.py`), orders);
    return JSON.stringify(await (await import(module)).default(orders));
  } catch (error) {
    return JSON.stringify({ failed: String(error) });
  }
};

/** System calls that Node lacks. */
async function runPython(program, orders) {
  const child = spawn("/usr/bin/python3", ["-B", "-S", program, JSON.stringify(orders)], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [told, errors] = ["", ""];
  child.stdout.on("data", (text) => (told += text));
  child.stderr.on("data", (text) => (errors += text));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (told === "") throw new Error(`${program} ended with ${code}: ${errors.slice(-2000)}`);
  return told;
}
