import type { IncomingMessage, ServerResponse } from "node:http";
import type { Edge } from "./edge.ts";
import { Exchange, type ExchangeDeps } from "./exchange.ts";
import type { Settle } from "./settle.ts";

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
  deps: ExchangeDeps,
): (request: IncomingMessage, response: ServerResponse, continues?: boolean) => void {
  return function invoke(request, response, continues = false) {
    const exchange = new Exchange(request, response, continues, deps);
    edge.enter(request, exchange, (start, revision) => {
      settle.inFlight++;
      exchange.begin(deps.dispatch.submit(start, revision, exchange));
    });
  };
}
