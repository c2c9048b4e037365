"""Where tasks are kept. It is the part to replace first: by a database, with the same five methods."""

from datetime import datetime, timezone
from threading import Lock


def utc_now():
    return datetime.now(timezone.utc)


class Store:
    """A task is `{"id", "title", "done", "created"}`. Plain handlers run on several threads: the lock is for them."""

    def __init__(self, now=utc_now):
        self._now = now
        self._tasks = {}
        self._last = 0
        self._lock = Lock()

    def list(self, done=None):
        with self._lock:
            return [task for task in self._tasks.values() if done is None or task["done"] == done]

    def find(self, id):
        return self._tasks.get(id)

    def create(self, fields):
        with self._lock:
            self._last += 1
            task = {"id": self._last, **fields, "created": self._now().isoformat()}
            self._tasks[task["id"]] = task
            return task

    def change(self, id, fields):
        """None where there is no such task."""
        with self._lock:
            if id not in self._tasks:
                return None
            self._tasks[id] = {**self._tasks[id], **fields}
            return self._tasks[id]

    def remove(self, id):
        """Whether there was one."""
        with self._lock:
            return self._tasks.pop(id, None) is not None
