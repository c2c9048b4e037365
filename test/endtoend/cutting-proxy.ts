import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands between the command line and control, and cuts every connection that has carried so much to control. */
export class CuttingProxy {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #carried: number;
  cuts = 0;
  /** Called at each cut, before it is noticed. */
  onCut: () => void = () => {};

  /** `carried`: bytes to control after which a connection is cut. */
  constructor(controlUrl: string, carried: number) {
    const { hostname, port } = new URL(controlUrl);
    this.#carried = carried;
    this.#target = { host: hostname, port: Number(port) };
    this.#server = createServer((caller) => this.#join(caller));
  }

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }

  #join(caller: Socket): void {
    const control = connect(this.#target);
    let carried = 0;
    const end = (): void => {
      caller.destroy();
      control.destroySoon();
    };
    caller.on("data", (chunk) => {
      if (!control.write(chunk)) caller.pause();
      carried += chunk.length;
      if (carried < this.#carried) return;
      this.cuts++;
      this.onCut();
      carried = Number.NEGATIVE_INFINITY;
      end();
    });
    control.on("drain", () => caller.resume()).on("data", (chunk) => caller.write(chunk));
    for (const side of [caller, control]) side.on("error", end).on("close", end);
  }
}
