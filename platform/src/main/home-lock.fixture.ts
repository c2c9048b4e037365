/** Takes the lock of each home in a folder, from a moment on, says which it got and holds them until its input ends. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { homePaths } from "./home.ts";
import { lockHome } from "./home-lock.ts";

const [, , folder, at] = process.argv;
const homes = readdirSync(folder!).sort();
const held: string[] = [];
while (Date.now() < Number(at));
for (const home of homes) {
  try {
    lockHome(homePaths(join(folder!, home)));
    held.push(home);
  } catch (error) {
    if (!String(error).includes("already runs on")) throw error;
  }
}
console.log(held.join(" "));
process.stdin.resume().on("end", () => process.exit(0));
