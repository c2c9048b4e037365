import { spawn } from "node:child_process";

/** Answers the pid of a process that would stay. */
export default () => String(spawn("/bin/sh", ["-c", "sleep 600 & sleep 600"], { stdio: "ignore" }).pid);
