"""What a handler is given beside its input."""

from __future__ import annotations

import logging
from time import monotonic

from .logs import FUNCTION_LOGGER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from threading import Event
    from typing import Any, Mapping, Optional, Union

_logger = logging.getLogger(FUNCTION_LOGGER)


class Cancellation:
    """Told when nobody waits for the answer any more. Like a threading.Event that only the platform sets."""

    __slots__ = ("reason", "_event")

    def __init__(self) -> None:
        self.reason: Optional[str] = None
        """`client`, `deadline` or `shutdown` once cancelled."""
        self._event: Optional[Event] = None

    def is_set(self) -> bool:
        return self.reason is not None

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Blocks until cancelled, at most `timeout` seconds. For plain handlers; an async one is cancelled instead."""
        from threading import Event

        if self._event is None:
            self._event = Event()
        if self.reason is not None:
            return True
        return self._event.wait(timeout)

    def __bool__(self) -> bool:
        return self.reason is not None

    def _set(self, reason: str) -> None:
        self.reason = reason
        if self._event is not None:
            self._event.set()


class Request:
    """The HTTP request behind an invocation."""

    __slots__ = ("method", "path", "query_string", "params", "has_own_url", "flat_headers", "_headers", "_query")

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.method: str = given["method"]
        self.path: str = given["path"]
        self.query_string: str = given["query"]
        """As it was sent, without the question mark."""
        self.params: dict[str, str] = given.get("params") or {}
        """Parts of the path that its trigger names."""
        self.has_own_url: bool = given.get("params") is None
        """It came by the function's own URL, below which `path` begins; not by a trigger."""
        self.flat_headers: list[str] = given["headers"]
        """As they were sent: name, value, name, value."""
        self._headers: Optional[dict[str, str]] = None
        self._query: Optional[dict[str, Union[str, list[str]]]] = None

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; what was sent several times is joined by a comma, cookies by a semicolon."""
        if self._headers is None:
            headers: dict[str, str] = {}
            for name, value in zip(self.flat_headers[::2], self.flat_headers[1::2]):
                name = name.lower()
                if name in headers:
                    value = f"{headers[name]}{'; ' if name == 'cookie' else ', '}{value}"
                headers[name] = value
            self._headers = headers
        return self._headers

    @property
    def query(self) -> dict[str, Union[str, list[str]]]:
        """By name; what was sent several times is a list."""
        if self._query is None:
            from urllib.parse import parse_qs

            lists = parse_qs(self.query_string, keep_blank_values=True)
            self._query = {name: values[0] if len(values) == 1 else values for name, values in lists.items()}
        return self._query

    @property
    def content_type(self) -> Optional[str]:
        flat = self.flat_headers
        for index in range(0, len(flat), 2):
            if flat[index] == "content-type" or flat[index].lower() == "content-type":
                return flat[index + 1]
        return None


class Context:
    """One invocation, or the function's start (then `invocation` and `request` are None)."""

    __slots__ = (
        "invocation",
        "tenant",
        "app",
        "function",
        "revision",
        "trace",
        "request",
        "cancelled",
        "_ends_at",
    )

    def __init__(self, given: Mapping[str, Any], budget_ms: float) -> None:
        self._ends_at = monotonic() + budget_ms / 1000
        self.invocation: Optional[str] = given.get("id")
        self.tenant: str = given["tenant"]
        self.app: str = given["app"]
        self.function: str = given["function"]
        self.revision: str = given["revision"]
        self.trace: Optional[str] = given.get("trace")
        """The traceparent to pass on."""
        request = given.get("request")
        self.request: Optional[Request] = None if request is None else Request(request)
        self.cancelled = Cancellation()

    @property
    def log(self) -> logging.Logger:
        return _logger

    @property
    def deadline(self) -> datetime:
        from datetime import datetime, timedelta, timezone

        return datetime.now(timezone.utc) + timedelta(seconds=self._ends_at - monotonic())

    def remaining(self) -> int:
        """Milliseconds until the deadline, 0 when it has passed."""
        return max(0, int((self._ends_at - monotonic()) * 1000))
