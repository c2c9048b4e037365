import { createServer } from "node:net";

/** The port, or for 0 one that is free; undefined where somebody has it. @throws what else keeps us from it. */
export function tryPort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}

/** The first that can be had of `tried` ports from `port` on; undefined without one. */
export async function firstPort(host: string, port: number, tried: number): Promise<number | undefined> {
  for (let next = port; next < Math.min(port + tried, 65_536); next++) {
    const found = await tryPort(host, next);
    if (found !== undefined) return found;
  }
  return undefined;
}
