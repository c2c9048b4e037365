import { createStore, type Store } from "./store.ts";
import { Refusal, readChange, readNew } from "./validation.ts";

/** What is used of the context that Colibri gives; there is more in it. */
type Context = {
  readonly app: string;
  readonly function: string;
  readonly request?: {
    readonly method: string;
    readonly path: string;
    readonly query: Readonly<Record<string, string | string[]>>;
  };
};

export default createHandler(createStore());

/** Answers `/` (the list) and `/<id>` (one task). */
export function createHandler(store: Store) {
  return async function tasks(input: unknown, context: Context): Promise<Response> {
    try {
      const path = context.request?.path ?? "/";
      return path === "/" ? collection(store, input, context) : member(store, readId(path), input, context);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, message, problems } = error;
      return Response.json({ error: message, problems }, { status });
    }
  };
}

function collection(store: Store, input: unknown, context: Context): Response {
  const method = context.request?.method ?? "POST";
  if (method === "GET" || method === "HEAD") return Response.json(store.list(readDone(context)));
  if (method !== "POST") return notAllowed("GET, HEAD, POST");
  const task = store.create(readNew(input));
  const location = `/fn/${context.app}/${context.function}/${task.id}`;
  return Response.json(task, { status: 201, headers: { location } });
}

function member(store: Store, id: number, input: unknown, context: Context): Response {
  switch (context.request?.method) {
    case "GET":
    case "HEAD":
      return Response.json(store.find(id) ?? missing(id));
    case "PATCH":
      return Response.json(store.change(id, readChange(input)) ?? missing(id));
    case "DELETE":
      if (!store.remove(id)) missing(id);
      return new Response(null, { status: 204 });
    default:
      return notAllowed("GET, HEAD, PATCH, DELETE");
  }
}

function readId(path: string): number {
  const [, digits] = /^\/([1-9]\d{0,14})$/.exec(path) ?? [];
  if (digits === undefined) throw new Refusal(404, `There is nothing at ${path}: a task is at /<number>.`);
  return Number(digits);
}

function readDone(context: Context): boolean | undefined {
  const done = context.request?.query.done;
  if (done === undefined) return undefined;
  if (done === "true" || done === "false") return done === "true";
  throw new Refusal(400, "done in the query must be true or false.");
}

function missing(id: number): never {
  throw new Refusal(404, `There is no task ${id}.`);
}

function notAllowed(allow: string): Response {
  return Response.json({ error: `This takes ${allow}.` }, { status: 405, headers: { allow } });
}
