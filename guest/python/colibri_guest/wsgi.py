"""
A WSGI application (PEP 3333) as a function, on a worker's thread: `wsgi.input` reads the request's body as it comes, and what the
application yields leaves as it is yielded, both under their windows. Cancelled reads and writes raise in the application's thread.
"""

from __future__ import annotations

import io
import sys

from .answers import Answer, bounded, check_header
from .frames import MAXIMUM_CHUNK
from .http_request import HttpRequest
from .thrown import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any, Callable, Optional

    from .context import Context
    from .incoming import Incoming
    from .outgoing import Outgoing

INPUT_BUFFER = 64 * 1024


def run_app(app: Callable[..., Any], environ: dict[str, Any], outgoing: Outgoing) -> None:
    exchange = Exchange(environ["REQUEST_METHOD"] == "HEAD", outgoing)
    result = app(environ, exchange.start_response)
    try:
        for chunk in result:
            exchange.give(chunk, isinstance(result, (list, tuple)) and len(result) == 1)
            if exchange.over:
                break
    finally:
        if hasattr(result, "close"):
            result.close()
    exchange.finish()


def make_environ(
    context: Context, content_type: Optional[str], incoming: Incoming, loop: AbstractEventLoop, shared: bool
) -> dict[str, Any]:
    """`shared`: other threads of this process run the application at the same time."""
    from urllib.parse import unquote_to_bytes

    request = HttpRequest(context, content_type)
    host, port = request.server
    target = request.root + request.path
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": request.root,
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1"),
        "QUERY_STRING": request.query,
        "REQUEST_URI": f"{target}?{request.query}" if request.query else target,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.client or "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BufferedReader(_Input(incoming, loop), INPUT_BUFFER),
        # The end of the input is told by the input: it may have come without a length.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": shared,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "colibri.context": context,
    }
    for name, value in request.headers:
        _add_header(environ, name, value)
    return environ


def _add_header(environ: dict[str, Any], name: str, value: str) -> None:
    # One with an underscore can't be told from one with a hyphen; `proxy` would be taken for HTTP_PROXY of the environment.
    if "_" in name or name == "proxy":
        return
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
        if key in environ:
            value = f"{environ[key]}{'; ' if name == 'cookie' else ','}{value}"
    environ[key] = value


class Exchange:
    """`start_response`, and what becomes of the chunks."""

    def __init__(self, bodiless: bool, outgoing: Outgoing) -> None:
        self.over = False
        """No chunk is wanted any more."""
        self._bodiless = bodiless
        self._outgoing = outgoing
        self._answer: Optional[Answer] = None
        self._length: Optional[int] = None
        """Of the body, where the application says it."""
        self._given = 0

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is not None:
            try:
                if self._outgoing.headed:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # Not a circle through this frame.
        elif self._answer is not None:
            raise RuntimeError("start_response was called twice without exc_info")
        flat: list[str] = []
        for name, value in headers:
            flat += check_header(name, value)
        self._answer = Answer(_status(status), bounded(flat), b"")
        self._length = _length(flat)
        return self.give

    def give(self, chunk: bytes, whole: bool = False) -> None:
        """`whole`: nothing comes after it. Also the `write` of `start_response`."""
        if not isinstance(chunk, bytes):
            message = f"the WSGI application yielded a {type(chunk).__name__}; yield bytes"
            raise Failure("answer-invalid", message, "TypeError")
        answer = self._answer
        if answer is None:
            raise Failure("answer-invalid", "the WSGI application answered before it called start_response", "RuntimeError")
        if not chunk or self.over:
            return
        if self._bodiless:
            self.over = True
        elif whole:
            # It leaves in one frame, at the end.
            answer.body = chunk
        else:
            self._write(answer, chunk)

    def finish(self) -> None:
        answer, outgoing = self._answer, self._outgoing
        if answer is None:
            raise Failure("answer-invalid", "the WSGI application returned, but did not call start_response", "RuntimeError")
        if not outgoing.headed:
            if outgoing.send_whole(answer):
                return
            self._write(answer, answer.body)
        if self._length is not None and self._given < self._length:
            message = f"the WSGI application's answer has {self._given} bytes; its Content-Length is {self._length}"
            raise Failure("answer-invalid", message, "RuntimeError")
        outgoing.finish_body()
        outgoing.end_ok()

    def _write(self, answer: Answer, chunk: bytes) -> None:
        outgoing = self._outgoing
        self._given += len(chunk)
        if not outgoing.headed:
            first = chunk[:MAXIMUM_CHUNK]
            outgoing.send_head(answer.status, answer.headers, first)
            chunk = chunk[len(first) :]
        outgoing.write(chunk)


class _Input(io.RawIOBase):
    """The request's body."""

    def __init__(self, incoming: Incoming, loop: AbstractEventLoop) -> None:
        self._incoming = incoming
        self._loop = loop
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if len(self._rest) == 0:
            self._rest = memoryview(self._incoming.read_in_thread(self._loop))
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _status(status: str) -> int:
    code = status[:3] if isinstance(status, str) else ""
    if code.isdecimal() and 200 <= int(code) <= 599 and status[3:4] in ("", " "):
        return int(code)
    raise Failure("answer-invalid", f"the WSGI application answered with status {status!r}; use such as '200 OK'", "ValueError")


def _length(flat: list[str]) -> Optional[int]:
    for name, value in zip(flat[::2], flat[1::2]):
        if name.lower() == "content-length" and value.isdecimal():
            return int(value)
    return None
