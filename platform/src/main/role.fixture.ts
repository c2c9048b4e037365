/** A role that does what its configuration says for `bind`: a comma-separated list of words. */
import { spawn } from "node:child_process";
import type { RoleStart, SupervisorMessage } from "./supervisor.ts";

process.once("message", ({ role, config }: RoleStart) => {
  const does = new Set(config.bind.split(","));
  process.on("message", ({ kind }: SupervisorMessage) => {
    if (kind === "ping") process.send?.({ kind: "pong" });
    if (kind === "stop" && !does.has("stubborn")) process.exit(0);
  });
  if (does.has("talk")) {
    process.stdout.write(`{"from":"${role}","text":"begun `);
    setTimeout(() => process.stdout.write(`ended"}\n{"from":"${role}","text":"whole"}\n{"from":"${role}","cut`), 20);
  }
  if (does.has("complain")) process.stderr.write("a warning\nof two lines\n");
  if (does.has("refuse")) {
    process.send?.({ kind: "refused", message: "the port is taken" }, () => process.exit(1));
    return;
  }
  process.send?.({ kind: "ready", facts: { pid: process.pid, port: config.port } });
  if (does.has("leave-a-child")) {
    const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 3000)"], { stdio: "inherit", detached: true });
    child.unref();
  }
  if (does.has("spin")) setTimeout(() => spin(), 50);
  if (does.has("wait")) setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50);
  if (does.has("exit")) setTimeout(() => process.exit(3), 50);
  if (does.has("stubborn")) process.on("SIGTERM", () => {});
  else process.once("SIGTERM", () => process.exit(0));
  process.once("disconnect", () => process.exit(0));
});

function spin(): never {
  for (;;);
}
