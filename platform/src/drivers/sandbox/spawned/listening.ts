import { existsSync } from "node:fs";
import { connect } from "node:net";
import { openSocketPath } from "#base/link/socket-path.ts";

/** Whether somebody listens on the socket: its file alone is there a moment before, and for ever after a crash. */
export async function isListening(path: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  const opened = openSocketPath(path);
  const socket = connect({ path: opened.path });
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
  } finally {
    socket.destroy();
    opened.release();
  }
}
