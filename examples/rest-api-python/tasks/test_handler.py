import sys
import unittest
from datetime import datetime, timezone
from types import ModuleType, SimpleNamespace

try:
    import colibri  # noqa: F401
except ModuleNotFoundError:
    # Given by the platform where the function runs; here, what the handler uses of it.
    stand_in = ModuleType("colibri")
    stand_in.Response = lambda body=None, status=200, headers=None: SimpleNamespace(
        body=body, status=status, headers=headers or {}
    )
    sys.modules["colibri"] = stand_in

from handler import handler
from store import Store


class Tasks(unittest.TestCase):
    def setUp(self):
        self.store = Store(lambda: datetime(2030, 1, 1, tzinfo=timezone.utc))

    def call(self, method, path, input=None, query=None):
        request = SimpleNamespace(method=method, path=path, query=query or {})
        context = SimpleNamespace(app="rest-api", function="tasks", request=request)
        answer = handler(input, context, self.store)
        if hasattr(answer, "status"):
            return answer.status, answer.body, answer.headers
        return (204 if answer is None else 200), answer, {}

    def test_a_task_is_created_read_changed_and_deleted(self):
        status, task, headers = self.call("POST", "/", {"title": " Buy milk "})
        self.assertEqual(status, 201)
        self.assertEqual(task, {"id": 1, "title": "Buy milk", "done": False, "created": "2030-01-01T00:00:00+00:00"})
        self.assertEqual(headers["location"], "/fn/rest-api/tasks/1")
        self.assertEqual(self.call("GET", "/1")[1], task)
        self.assertEqual(self.call("PATCH", "/1", {"done": True})[1], {**task, "done": True})
        self.assertEqual(len(self.call("GET", "/", None, {"done": "true"})[1]), 1)
        self.assertEqual(self.call("GET", "/", None, {"done": "false"})[1], [])
        self.assertEqual(self.call("DELETE", "/1")[0], 204)
        for method in ("GET", "DELETE"):
            self.assertEqual(self.call(method, "/1")[0], 404)
        self.assertEqual(self.call("PATCH", "/1", {"done": True})[0], 404)

    def test_what_is_wrong_is_told_field_by_field_and_nothing_is_stored(self):
        status, body, _ = self.call("POST", "/", {"title": "", "done": "yes", "colour": "red"})
        self.assertEqual((status, list(body["problems"])), (422, ["title", "done", "colour"]))
        self.assertEqual(self.call("POST", "/", {})[1]["problems"], {"title": "is missing"})
        self.assertIn("at most 200", self.call("POST", "/", {"title": "x" * 201})[1]["problems"]["title"])
        for input in (None, "text", [], b"bytes"):
            self.assertEqual(self.call("POST", "/", input)[0], 400)
        self.assertEqual(self.call("GET", "/")[1], [])

    def test_a_change_needs_something_to_change(self):
        self.call("POST", "/", {"title": "a"})
        self.assertEqual(self.call("PATCH", "/1", {})[0], 422)
        self.assertEqual(self.call("PATCH", "/1", {"title": 7})[0], 422)

    def test_other_paths_and_methods_are_refused_by_name(self):
        for path in ("/x", "/1/2", "/01", "/-1"):
            self.assertEqual(self.call("GET", path)[0], 404)
        status, _, headers = self.call("PUT", "/")
        self.assertEqual((status, headers["allow"]), (405, "GET, HEAD, POST"))
        self.assertEqual(self.call("POST", "/1", {})[0], 405)
        self.assertEqual(self.call("GET", "/", None, {"done": "maybe"})[0], 400)


if __name__ == "__main__":
    unittest.main()
