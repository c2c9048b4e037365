"""
Runs functions in the process of a test, by the same code as in a sandbox.

    from colibri.testing import invoke

    def test_greets():
        answer = invoke(handler, {"name": "Ada"})
        assert (answer.status, answer.text) == (200, "Hello, Ada!")
"""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from . import Context
from ._errors import ERRORS
from ._guest.context import Cancellation
from ._guest.frames import MAXIMUM_CHUNK
from ._guest.loader import Function, find_function
from ._guest.logs import FUNCTION_LOGGER, _level
from ._guest.styles import APPS
from ._sandbox import Entry, Sandbox

__all__ = ["Answer", "Error", "LogEntry", "TestContext", "TestFunction", "invoke", "make_context"]

Target = Union[Callable[..., Any], ModuleType]
"""A handler, an ASGI or WSGI application, or the module that has one, `init` included."""
SLOTS = 20
ID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class LogEntry:
    """A line that the function logged or printed."""

    stream: str
    level: str
    """debug, info, warn or error"""
    text: str


@dataclass(frozen=True)
class Error:
    """What went wrong, as the answer's `Colibri-Error-Code` and the record of the invocation would say."""

    code: str
    name: str
    message: str
    stack: Optional[str] = None


@dataclass(frozen=True)
class Answer:
    """What a caller of the deployed function would get."""

    invocation: str
    status: int
    header_list: List[Tuple[str, str]]
    """As they were sent."""
    pieces: List[bytes]
    """The body as it was sent: one piece, or those of a stream."""
    error: Optional[Error]
    """Set when it failed: before the answer began (then the status tells too), or in the midst of it."""
    logs: List[LogEntry] = field(default_factory=list)

    @property
    def headers(self) -> Dict[str, str]:
        """By lower-case name; several of one name are joined by a comma."""
        headers: Dict[str, str] = {}
        for name, value in self.header_list:
            name = name.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return headers

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class TestFunction:
    """A function that stays initialised from one invocation to the next: use it in a `with`, which also stops an application's lifespan."""

    __test__ = False  # pytest: this is no test.

    def __init__(
        self,
        target: Target,
        *,
        tenant: str = "default",
        app: str = "test",
        function: str = "function",
        revision: str = "r1",
        slots: int = SLOTS,
        init_timeout: float = 10.0,
    ) -> None:
        """Raises an error when the target is no function, as deploying it would."""
        self._bound = {"tenant": tenant, "app": app, "function": function, "revision": revision}
        self._init_timeout = init_timeout
        self._sandbox = Sandbox(_function_of(target), self._bound, slots)

    def __enter__(self) -> TestFunction:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._sandbox.close()

    def invoke(
        self,
        input: Any = None,
        *,
        method: str = "POST",
        path: str = "/",
        query: str = "",
        headers: Optional[Mapping[str, str]] = None,
        params: Optional[Mapping[str, str]] = None,
        content_type: Optional[str] = None,
        http: bool = True,
        timeout: float = 30.0,
        trace: Optional[str] = None,
        invocation: Optional[str] = None,
        on_piece: Optional[Callable[[bytes], object]] = None,
    ) -> Answer:
        """
        `input`: None → no body; str → text/plain; bytes, or an iterator of them → application/octet-stream; anything else → JSON.
        `http=False`: as a timer would invoke it, without a request. `on_piece` is told each piece of the answer when it comes; when it
        returns False, the caller leaves.
        """
        body, type = _encode(input)
        type = content_type or type
        given: Dict[str, Any] = {"id": invocation or _make_id(), **self._bound, "budgetMs": timeout * 1000, "trace": trace}
        if http:
            given["request"] = _request_of(method, path, query, headers, params, type)
        elif type is not None:
            given["contentType"] = type
        return self._run({name: value for name, value in given.items() if value is not None}, body, on_piece)

    def _run(self, given: Dict[str, Any], body: Any, on_piece: Optional[Callable[[bytes], object]]) -> Answer:
        id: str = given["id"]
        failed = self._sandbox.initialise(f"init of {id}", self._init_timeout)
        head, pieces = None, []
        if failed is None:
            exchange, failed = self._sandbox.invoke(given, body, on_piece)
            head, pieces = exchange.head, exchange.pieces
        logs = _log_entries(self._sandbox.take_entries(f"init of {id}", None, id))
        error = None if failed is None else Error(**failed)
        if head is not None:
            flat = head["headers"]
            return Answer(id, head["status"], list(zip(flat[::2], flat[1::2])), pieces, error, logs)
        assert error is not None, "what has no head has failed"
        return _problem(id, error, logs)


def invoke(target: Target, input: Any = None, **options: Any) -> Answer:
    """One invocation of a function that is initialised for it. Options are those of TestFunction and its `invoke`."""
    names = ("tenant", "app", "function", "revision", "slots", "init_timeout")
    facts = {name: options.pop(name) for name in names if name in options}
    with TestFunction(target, **facts) as function:
        return function.invoke(input, **options)


class TestContext(Context):
    """A context to call a handler with directly, past decoding and encoding."""

    __test__ = False

    def __init__(self, given: Mapping[str, Any], timeout: float) -> None:
        super().__init__(given, timeout * 1000)
        self.logs: List[LogEntry] = []
        """What was logged with it so far."""
        self._log = logging.Logger(FUNCTION_LOGGER, logging.DEBUG)
        self._log.addHandler(_Collector(self.logs))

    @property
    def log(self) -> logging.Logger:
        return self._log

    def cancel(self, reason: str = "client") -> None:
        """`client`: the caller leaves; `deadline`: the time is over; `shutdown`: the sandbox ends."""
        assert isinstance(self.cancelled, Cancellation)
        self.cancelled._set(reason)


def make_context(
    *,
    method: str = "POST",
    path: str = "/",
    query: str = "",
    headers: Optional[Mapping[str, str]] = None,
    params: Optional[Mapping[str, str]] = None,
    http: bool = True,
    timeout: float = 30.0,
    **facts: Any,
) -> TestContext:
    """`facts`: tenant, app, function, revision, trace, invocation."""
    given = {"tenant": "default", "app": "test", "function": "function", "revision": "r1", **facts}
    given["id"] = given.pop("invocation", None) or _make_id()
    if http:
        given["request"] = _request_of(method, path, query, headers, params, None)
    return TestContext(given, timeout)


class _Collector(logging.Handler):
    def __init__(self, entries: List[LogEntry]) -> None:
        super().__init__()
        self._entries = entries

    def emit(self, record: logging.LogRecord) -> None:
        self._entries.append(LogEntry("stderr", _level(record.levelno), self.format(record)))


def _function_of(target: Target) -> Function:
    if isinstance(target, ModuleType):
        return find_function(target, "the module")
    name = getattr(target, "__name__", "")
    name = name if name in APPS else "handler"
    return find_function(SimpleNamespace(**{name: target}), "the test", name)  # type: ignore[arg-type]


def _encode(input: Any) -> Tuple[Any, Optional[str]]:
    if input is None:
        return b"", None
    if isinstance(input, str):
        return input.encode(), "text/plain; charset=utf-8"
    if isinstance(input, (bytes, bytearray, memoryview)):
        return bytes(input), "application/octet-stream"
    if hasattr(input, "__next__"):
        return _bytes_of(input), "application/octet-stream"
    return json.dumps(input, ensure_ascii=False).encode(), "application/json"


def _bytes_of(pieces: Iterator[Any]) -> Iterator[bytes]:
    for piece in pieces:
        data = piece.encode() if isinstance(piece, str) else bytes(piece)
        for start in range(0, len(data), MAXIMUM_CHUNK):
            yield data[start : start + MAXIMUM_CHUNK]


def _request_of(
    method: str,
    path: str,
    query: str,
    headers: Optional[Mapping[str, str]],
    params: Optional[Mapping[str, str]],
    content_type: Optional[str],
) -> Dict[str, Any]:
    named = {"host": "localhost"}
    if content_type is not None:
        named["content-type"] = content_type
    named.update({name.lower(): value for name, value in (headers or {}).items()})
    flat = [part for pair in named.items() for part in pair]
    return {"method": method, "path": path, "query": query, "headers": flat, "params": dict(params or {})}


def _log_entries(entries: List[Entry]) -> List[LogEntry]:
    return [LogEntry(entry["stream"], entry["level"], entry["text"]) for entry in entries]


def _problem(invocation: str, error: Error, logs: List[LogEntry]) -> Answer:
    """A failure as the gateway answers it."""
    status, title = ERRORS[error.code]
    message = error.message if error.name in ("", "Error") else f"{error.name}: {error.message}"
    problem = {"type": f"docs/errors.md#{error.code}", "title": title, "status": status, "code": error.code}
    body = json.dumps({**problem, "detail": message, "invocation": invocation}, ensure_ascii=False).encode()
    printable = "".join(letter if " " <= letter <= "~" else " " for letter in message)[:512]
    headers = [
        ("content-type", "application/problem+json"),
        ("colibri-error-code", error.code),
        ("colibri-error-message", printable),
    ]
    return Answer(invocation, status, headers, [body], error, logs)


def _make_id() -> str:
    return "0" + "".join(secrets.choice(ID_LETTERS) for _ in range(25))
