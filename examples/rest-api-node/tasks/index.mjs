import { createStore } from "./store.mjs";
import { Refusal, readChange, readNew } from "./validation.mjs";

export default createHandler(createStore());

/** Answers `/` (the list) and `/<id>` (one task). */
export function createHandler(store) {
  return async function tasks(input, context) {
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

function collection(store, input, context) {
  const method = context.request?.method ?? "POST";
  if (method === "GET" || method === "HEAD") return Response.json(store.list(readDone(context)));
  if (method !== "POST") return notAllowed("GET, HEAD, POST");
  const task = store.create(readNew(input));
  const location = `/fn/${context.app}/${context.function}/${task.id}`;
  return Response.json(task, { status: 201, headers: { location } });
}

function member(store, id, input, context) {
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

function readId(path) {
  const [, digits] = /^\/([1-9]\d{0,14})$/.exec(path) ?? [];
  if (digits === undefined) throw new Refusal(404, `There is nothing at ${path}: a task is at /<number>.`);
  return Number(digits);
}

function readDone(context) {
  const done = context.request?.query.done;
  if (done === undefined) return undefined;
  if (done === "true" || done === "false") return done === "true";
  throw new Refusal(400, "done in the query must be true or false.");
}

function missing(id) {
  throw new Refusal(404, `There is no task ${id}.`);
}

function notAllowed(allow) {
  return Response.json({ error: `This takes ${allow}.` }, { status: 405, headers: { allow } });
}
