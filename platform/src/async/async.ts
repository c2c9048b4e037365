import type { Clock } from "#base/clock.ts";
import type { Listener, Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";
import { peerEvents, peerRequests } from "#contract/peer/link.ts";

export interface AsyncRoleOptions {
  readonly address: string;
  readonly instance: string;
}

const sides = { asks: {}, hears: {}, serves: peerRequests, emits: peerEvents } as const;

function refuse(what: string): never {
  throw new PlatformError("async-unavailable", `${what} is not part of this version: invoke synchronously`);
}

/**
 * The async role: turns timers, queues and asynchronous requests into invocations. In this version it only holds its place: it
 * is reached over the peer link and says, for everything it will do one day, that it can't yet.
 */
export function createAsyncRole(deps: { network: Network; clock: Clock; log: Log }, options: AsyncRoleOptions) {
  let listener: Listener | undefined;
  return {
    async open(): Promise<void> {
      listener = await deps.network.listen(options.address, ["peer"], (link) => {
        const messages = new MessageLink({ clock: deps.clock }, sides, {
          serve: {
            hello: () => ({ role: "async", instance: options.instance }),
            submit: () => refuse("asynchronous invocation"),
            acquire: () => refuse("acquiring a slot from the async role"),
            forward: () => refuse("forwarding through the async role"),
            handover: () => refuse("handing functions over to the async role"),
          },
          hear: {},
          closed: () => {},
        });
        return messages.attach(link).handlers;
      });
    },
    async close(): Promise<void> {
      await listener?.close();
      listener = undefined;
    },
  };
}
