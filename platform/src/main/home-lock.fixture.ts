/** Takes the lock of a home at a moment given, says how that went and holds it until its input ends. */

import { homePaths } from "./home.ts";
import { lockHome } from "./home-lock.ts";

const [, , home, at] = process.argv;
while (Date.now() < Number(at));
try {
  lockHome(homePaths(home!));
  console.log("held");
} catch (error) {
  console.log(error instanceof Error ? error.message : error);
}
process.stdin.resume().on("end", () => process.exit(0));
