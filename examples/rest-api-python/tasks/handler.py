import re

from colibri import Response
from store import Store
from validation import Refusal, read_change, read_new

STORE = Store()


def handler(input, context, store=STORE):
    """Answers `/` (the list) and `/<id>` (one task)."""
    try:
        path = context.request.path if context.request else "/"
        if path == "/":
            return _collection(store, input, context)
        return _member(store, _read_id(path), input, context.request.method)
    except Refusal as refusal:
        return Response({"error": str(refusal), "problems": refusal.problems}, refusal.status, refusal.headers)


def _collection(store, input, context):
    method = context.request.method if context.request else "POST"
    if method in ("GET", "HEAD"):
        return store.list(_read_done(context.request.query))
    if method != "POST":
        raise _not_allowed("GET, HEAD, POST")
    task = store.create(read_new(input))
    return Response(task, 201, {"location": f"/fn/{context.app}/{context.function}/{task['id']}"})


def _member(store, id, input, method):
    if method in ("GET", "HEAD"):
        return store.find(id) or _missing(id)
    if method == "PATCH":
        return store.change(id, read_change(input)) or _missing(id)
    if method == "DELETE":
        return None if store.remove(id) else _missing(id)
    raise _not_allowed("GET, HEAD, PATCH, DELETE")


def _read_id(path):
    found = re.fullmatch(r"/([1-9][0-9]{0,14})", path)
    if not found:
        raise Refusal(404, f"There is nothing at {path}: a task is at /<number>.")
    return int(found[1])


def _read_done(query):
    done = query.get("done")
    if done not in (None, "true", "false"):
        raise Refusal(400, "done in the query must be true or false.")
    return None if done is None else done == "true"


def _missing(id):
    raise Refusal(404, f"There is no task {id}.")


def _not_allowed(allow):
    return Refusal(405, f"This takes {allow}.", headers={"allow": allow})
