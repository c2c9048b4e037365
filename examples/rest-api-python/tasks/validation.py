LONGEST_TITLE = 200


class Refusal(Exception):
    """A request that can't be served as it is: the status says whose move it is, the message what to change."""

    def __init__(self, status, message, problems=None, headers=None):
        super().__init__(message)
        self.status = status
        self.problems = problems or {}
        self.headers = headers or {}


def read_new(input):
    """All fields of a new task; `done` may be left out. Raises Refusal naming each field that is wrong."""
    return {"done": False, **_read_fields(input, ["title"])}


def read_change(input):
    """Some fields of a task. Raises Refusal."""
    fields = _read_fields(input, [])
    if not fields:
        raise Refusal(422, "There is nothing to change: send title or done.")
    return fields


def _read_fields(input, required):
    if not isinstance(input, dict):
        raise Refusal(400, "Send a JSON object, with Content-Type: application/json.")
    problems = {name: "is missing" for name in required if name not in input}
    for name, value in input.items():
        problem = _problem_of(name, value)
        if problem:
            problems[name] = problem
    if problems:
        raise Refusal(422, "The task is not right.", problems)
    return {name: value.strip() if name == "title" else value for name, value in input.items()}


def _problem_of(name, value):
    if name == "done":
        return None if isinstance(value, bool) else "must be true or false"
    if name != "title":
        return "is not known: a task has title and done"
    if not isinstance(value, str) or not value.strip():
        return "must be a text that is not empty"
    return f"must have at most {LONGEST_TITLE} characters" if len(value) > LONGEST_TITLE else None
