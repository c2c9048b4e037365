import type { IncomingMessage, ServerResponse } from "node:http";
import type { Edge } from "./edge.ts";
import { Exchange, type ExchangeDeps, type Followed } from "./exchange.ts";
import type { Settle } from "./settle.ts";

export interface InvokeDeps extends ExchangeDeps {
  /** Sees every request with what will be known of it. For local work; without it, it costs nothing. */
  readonly follow?: (request: IncomingMessage, response: ServerResponse, followed: Followed) => void;
}

/**
 * The hot path, hop by hop. Each hop is one file, to be read top to bottom:
 *
 *     1 edge      gateway/edge.ts       parse, id, plan, limit, shed: a request becomes an invocation
 *     2 acquire   dispatch/acquire.ts   a free slot, else the queue, else a sandbox (dispatch/cold-start.ts)
 *     3 forward   dispatch/forward.ts   INVOKE, stream both ways (data-stream.ts), deadline, cancel
 *     4 guest     guest/node, guest/python: run the handler, stream the answer
 *     5 settle    gateway/settle.ts     count, meter, record; never blocks the answer
 *
 * The answer comes back through the exchange (exchange.ts). Hops 2 to 5 happen inside `submit`.
 */
export function createInvoke(
  edge: Edge,
  settle: Settle,
  deps: InvokeDeps,
): (request: IncomingMessage, response: ServerResponse, continues?: boolean) => void {
  const { follow } = deps;
  return function invoke(request, response, continues = false) {
    const exchange = new Exchange(request, response, continues, deps);
    if (follow !== undefined) follow(request, response, exchange);
    edge.enter(request, exchange, (start, revision) => {
      settle.begin();
      exchange.begin(deps.dispatch.submit(start, revision, exchange));
    });
  };
}
