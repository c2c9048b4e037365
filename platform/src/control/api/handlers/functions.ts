import type { FunctionResource } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import { type FunctionRef, isName, isRevision } from "#contract/names.ts";
import { type FunctionState, mainRevision, revisionNumber } from "#domain/function/function.ts";
import type { Store } from "#ports/store/index.ts";
import { etagOf, expectedVersion, matches } from "../etag.ts";
import type { Handlers } from "../handler.ts";
import { decodeCursor, PAGE_ITEMS, pageOf } from "../paging.ts";
import { viewApp, viewFunction, viewRevision } from "../views.ts";

export interface FunctionHandlerDeps {
  readonly store: Store;
  /** To be called after functions were deleted; resolves when no gateway routes to them, or that was waited for long enough. */
  readonly onDeleted: (removed: readonly FunctionRef[]) => Promise<void>;
}

type Functions = Pick<
  Handlers,
  "listApps" | "getApp" | "deleteApp" | "listFunctions" | "getFunction" | "deleteFunction" | "listRevisions"
>;

export function createFunctionHandlers({ store, onDeleted }: FunctionHandlerDeps): Functions {
  return {
    async listApps({ params: { tenant }, query: { cursor, limit = PAGE_ITEMS } }) {
      const after = decodeCursor(cursor, isName);
      return {
        body: await pageOf(
          limit,
          (limit) => store.apps(tenant, { after, limit }),
          (state) => state.app,
          viewApp,
        ),
      };
    },
    async getApp({ params: { tenant, app } }) {
      const state = await store.app(tenant, app);
      if (state === undefined) throw noApp(tenant, app);
      return { body: viewApp(state) };
    },
    async deleteApp({ params: { tenant, app } }) {
      const functions = await allFunctions(store, tenant, app);
      if (!(await store.deleteApp(tenant, app))) throw noApp(tenant, app);
      await onDeleted(functions);
      return { body: undefined };
    },
    async listFunctions({ params: { tenant, app }, query: { cursor, limit = PAGE_ITEMS } }) {
      if ((await store.app(tenant, app)) === undefined) throw noApp(tenant, app);
      const after = decodeCursor(cursor, isName);
      const read = (limit: number) => store.functions(tenant, app, { after, limit });
      const { items, ...rest } = await pageOf(
        limit,
        read,
        (state) => state.function,
        (state) => shown(store, state),
      );
      return { body: { items: items.filter((item) => item !== undefined), ...rest } };
    },
    async getFunction({ params, headers }) {
      const state = await functionAt(store, params);
      const etag = etagOf(state.version);
      const body = await shown(store, state);
      if (body === undefined) throw noFunction(params);
      if (matches(headers["if-none-match"], etag)) return { body, status: 304, headers: { etag } };
      return { body, headers: { etag } };
    },
    async deleteFunction({ params, headers }) {
      const { tenant, app, function: name } = params;
      const state = await functionAt(store, params);
      const expected = expectedVersion(headers["if-match"], state.version);
      const outcome = await store.deleteFunction(tenant, app, name, expected);
      if (outcome === "absent") throw noFunction(params);
      if (outcome === "changed") throw changed(params);
      await onDeleted([{ tenant, app, function: name }]);
      return { body: undefined };
    },
    async listRevisions({ params, query: { cursor, limit = PAGE_ITEMS } }) {
      const { tenant, app, function: name } = params;
      await functionAt(store, params);
      const last = decodeCursor(cursor, isRevision);
      const before = last === undefined ? undefined : revisionNumber(last);
      const read = (limit: number) => store.revisions(tenant, app, name, { before, limit });
      return { body: await pageOf(limit, read, (state) => state.revision, viewRevision) };
    },
  };
}

/** @throws PlatformError `not-found`. */
export async function functionAt(store: Store, ref: FunctionRef): Promise<FunctionState> {
  const state = await store.function(ref.tenant, ref.app, ref.function);
  if (state === undefined) throw noFunction(ref);
  return state;
}

async function allFunctions(store: Store, tenant: string, app: string): Promise<FunctionRef[]> {
  const all: FunctionRef[] = [];
  for (let after: string | undefined; ; ) {
    const states = await store.functions(tenant, app, { after, limit: 1_000 });
    all.push(...states.map((state) => ({ tenant, app, function: state.function })));
    after = states.at(-1)?.function;
    if (after === undefined) return all;
  }
}

/** Undefined when it was deleted meanwhile. */
async function shown(store: Store, state: FunctionState): Promise<FunctionResource | undefined> {
  const { tenant, app, function: name, live } = state;
  const main = await store.revision(tenant, app, name, mainRevision(live));
  return main && viewFunction(state, main);
}

function noApp(tenant: string, app: string): PlatformError {
  return new PlatformError(
    "not-found",
    `There is no app "${app}" of tenant "${tenant}": \`npx colibri list\` shows what is there.`,
  );
}

function noFunction({ app, function: name }: FunctionRef): PlatformError {
  return new PlatformError(
    "not-found",
    `There is no function "${app}/${name}": \`npx colibri list\` shows what is there.`,
  );
}

function changed({ app, function: name }: FunctionRef): PlatformError {
  const message = `"${app}/${name}" has changed since it was read: read it again and repeat with the new ETag.`;
  return new PlatformError("precondition-failed", message);
}
