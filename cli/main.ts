import { run } from "./run.ts";
import { createSurroundings } from "./surroundings.ts";

// The launcher set it for this process, not for those that it starts.
delete process.env.NODE_COMPILE_CACHE;

await run(process, createSurroundings(process));
