import { captureConsole, createLogger } from "./console.ts";
import { createControl } from "./control-stream.ts";
import { createDataStreams } from "./data-streams.ts";
import { watchFaults } from "./faults.ts";
import { Guest } from "./guest.ts";
import { listen } from "./listener.ts";
import { LogQueue } from "./log-queue.ts";

/** In the working directory, which is the sandbox folder. */
const SOCKET = "guest.sock";
/** How long the last frames may take when nobody reads. */
const FLUSH_MS = 1_000;

const logs = new LogQueue();
const exit = process.exit.bind(process);
let leaving = false;
const guest = new Guest({ logs, logger: createLogger(logs), exit: leave });
const control = createControl({ guest, logs });
const data = createDataStreams({ guest, logs });
guest.onShutdown = () => data.cancelAll();

captureConsole(logs);
watchFaults({ guest, logs });
listen(SOCKET, { control: (connect) => control.accept(connect), data: (connect) => data.accept(connect) });

/** Ends the process when what was sent has left. */
function leave(code: number): void {
  if (leaving) return;
  leaving = true;
  setTimeout(exit, FLUSH_MS, code);
  // At the end of the turn: answers of this turn are written with it.
  setImmediate(() => {
    logs.flush();
    control.flushed(() => data.flushed(() => exit(code)));
  });
}
