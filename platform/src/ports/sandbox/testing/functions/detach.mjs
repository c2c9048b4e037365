import { spawn } from "node:child_process";

/** Answers the pid of a process that left the guest's group and session; told so, without an environment that tells where from. */
export default (input) => {
  const hidden = input === "hidden" ? { env: {}, cwd: "/" } : {};
  const child = spawn("/bin/sleep", ["600"], { detached: true, stdio: "ignore", ...hidden });
  child.unref();
  return String(child.pid);
};
