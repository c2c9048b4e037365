"""Errors of the platform's catalogue (contract/errors.ts) that an invocation may end with here: HTTP status and meaning."""

from __future__ import annotations

ERRORS = {
    "bad-input": (400, "The body is not what its content type says (for example broken JSON)."),
    "concurrency-limit": (429, "The function's queue is full at its maximum scale."),
    "client-closed": (499, "The client left before the answer was complete."),
    "init-failed": (500, "The function's `init` failed."),
    "function-error": (500, "The function threw an error."),
    "answer-invalid": (500, "The function's answer can't be sent."),
    "function-exited": (502, "The function's process exited while the invocation ran."),
    "function-timeout": (504, "The function did not finish within its `timeout`."),
}
