import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import type { Static, TSchema } from "typebox";
import type { Operation, ROUTES } from "#contract/api/routes.ts";

type Row<O extends Operation> = (typeof ROUTES)[O];
type Part<O extends Operation, P extends string> =
  Row<O> extends { readonly [K in P]: infer S extends TSchema } ? Static<S> : Record<never, never>;

/** A request whose shape and permission have been checked. */
export interface Call<O extends Operation> {
  readonly params: Part<O, "params">;
  readonly query: Part<O, "query">;
  readonly body: Row<O> extends { readonly body: infer B }
    ? B extends "stream"
      ? Readable
      : B extends TSchema
        ? Static<B>
        : never
    : undefined;
  readonly headers: IncomingHttpHeaders;
  /** Aborts when the client leaves, or control closes. */
  readonly signal: AbortSignal;
}

// Media types come first: any string would do for a TSchema.
type Body<O extends Operation> =
  Row<O> extends { readonly answer: infer A }
    ? A extends "application/x-ndjson"
      ? AsyncIterable<unknown>
      : A extends "text/plain"
        ? string
        : A extends TSchema
          ? Static<A>
          : never
    : undefined;

export interface Reply<O extends Operation> {
  readonly body: Body<O>;
  /** In place of the row's. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler<O extends Operation> = (call: Call<O>) => Promise<Reply<O>>;
/** One for each row of the table. */
export type Handlers = { readonly [O in Operation]: Handler<O> };
