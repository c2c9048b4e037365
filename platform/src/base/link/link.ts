import type { Frame, LinkKind } from "#contract/link/frame.ts";

/**
 * One connection between two processes, as frames. Frames appended in one turn of the event loop leave together; they arrive in
 * order or the link closes. `close` is told exactly once.
 */
export interface Link {
  /** Never blocks; after close it does nothing. `body` must not be changed afterwards. */
  send(type: number, flags: number, stream: number, head: string, body: Uint8Array | null): void;
  /** Bytes that the other side has not taken yet. */
  readonly buffered: number;
  readonly closed: boolean;
  /** Ends the link when what was sent has been taken, after a second at the latest; the handlers' `close` follows. */
  close(reason?: Error): void;
}

export interface LinkHandlers {
  /** May throw: the link is then closed with that error, and nobody else is harmed. */
  frame(frame: Frame): void;
  /** The link is gone; `error` says why where it was not asked for. */
  close(error: Error | undefined): void;
}

export interface Listener {
  close(): Promise<void>;
}

export interface Network {
  /** @throws when nobody answers there, with a message that names the address. */
  dial(address: string, kind: LinkKind, handlers: LinkHandlers): Promise<Link>;
  /** Calls `accept` for each connection whose kind is in `kinds`; it answers with the link's handlers. */
  listen(
    address: string,
    kinds: readonly LinkKind[],
    accept: (link: Link, kind: LinkKind) => LinkHandlers,
  ): Promise<Listener>;
}
