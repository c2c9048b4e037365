// The bench's handler as a plain Node server: behind nginx on a Unix socket, and called directly on a port.
import { createServer } from "node:http";
import hello from "./function/index.mjs";

function serve(_request, response) {
  const body = JSON.stringify(hello());
  response.writeHead(200, ["Content-Type", "application/json", "Content-Length", String(Buffer.byteLength(body))]);
  response.end(body);
}

const options = { keepAliveTimeout: 60_000 };
const server = createServer(options, serve);
server.listen(process.argv[2] === "0" ? { host: "127.0.0.1", port: 0 } : process.argv[2], () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" ? address?.port : 0 });
});
process.on("disconnect", () => process.exit(0));
