/** What a debugger says and hears, over Node's inspector: enough of the Chrome DevTools protocol to stop and go on. */
export class Debugger {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (result: unknown) => void>();
  #heard: { readonly method: string; readonly params: Readonly<Record<string, unknown>> }[] = [];
  #waiting: (() => void) | undefined;
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#hear(JSON.parse(String(data))));
  }

  /** Attaches to the one target that listens on the port. */
  static async attach(port: number): Promise<Debugger> {
    const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      webSocketDebuggerUrl: string;
    }[];
    const socket = new WebSocket(targets[0]!.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error(`no debugger listens on port ${port}`)));
    });
    const attached = new Debugger(socket);
    await attached.ask("Runtime.enable");
    await attached.ask("Debugger.enable");
    return attached;
  }

  // biome-ignore lint/suspicious/noExplicitAny: the protocol has a shape for every method
  ask(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<any> {
    const id = ++this.#id;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  /** The next time that code stops: in which script and line, from 0. */
  async stopped(): Promise<{ readonly url: string; readonly line: number }> {
    for (;;) {
      const found = this.#heard.findIndex(({ method }) => method === "Debugger.paused");
      if (found >= 0) return this.#placeOf(this.#heard.splice(found, 1)[0]!.params);
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }

  close(): void {
    this.#socket.close();
  }

  // biome-ignore lint/suspicious/noExplicitAny: the protocol has a shape for every event
  #placeOf(params: any): { readonly url: string; readonly line: number } {
    const { scriptId, lineNumber } = params.callFrames[0].location;
    const script = this.#heard.find(
      ({ method, params: told }) => method === "Debugger.scriptParsed" && told.scriptId === scriptId,
    );
    return { url: String(script?.params.url), line: lineNumber };
  }

  // biome-ignore lint/suspicious/noExplicitAny: the protocol has a shape for every event
  #hear(message: any): void {
    if (message.id === undefined) this.#heard.push(message);
    else this.#answers.get(message.id)?.(message.result);
    this.#waiting?.();
  }
}
