import { PlatformError } from "#contract/errors.ts";
import type { Store } from "#ports/store/index.ts";
import type { LogReader, RecordReader } from "../../history.ts";
import type { Handlers } from "../handler.ts";
import { PAGE_ITEMS } from "../paging.ts";
import { functionAt } from "./functions.ts";

export interface ObservationHandlerDeps {
  readonly store: Store;
  readonly logs: LogReader;
  readonly records: RecordReader;
}

type Observations = Pick<Handlers, "readLogs" | "listInvocations" | "getInvocation">;

export function createObservationHandlers({ store, logs, records }: ObservationHandlerDeps): Observations {
  return {
    async readLogs({ params, query, signal }) {
      await functionAt(store, params);
      return { body: logs.read(params, query, signal) };
    },
    async listInvocations({ params, query: { cursor, limit = PAGE_ITEMS, outcome } }) {
      await functionAt(store, params);
      const { items, next } = await records.list(params, { cursor, limit, outcome });
      return { body: { items, ...(next === undefined ? {} : { next }) } };
    },
    async getInvocation({ params: { id, ...ref } }) {
      await functionAt(store, ref);
      const found = await records.get(ref, id);
      if (found !== undefined) return { body: found };
      const message = `There is no record of an invocation "${id}" of "${ref.app}/${ref.function}": it may not have ended, or be too old.`;
      throw new PlatformError("not-found", message);
    },
  };
}
