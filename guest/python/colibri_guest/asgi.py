"""
An ASGI application (specification 3.0, HTTP) as a function: the request's body streams in and the answer streams out, both under
their windows. The slot is held until the application returns, so what it does after its answer is within the invocation.
"""

from __future__ import annotations

from .answers import Answer, bounded, check_header
from .frames import MAXIMUM_CHUNK
from .thrown import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any, Callable, Optional

    from .context import Context
    from .incoming import Incoming
    from .outgoing import Outgoing


async def run_app(
    app: Callable[..., Any],
    context: Context,
    content_type: Optional[str],
    incoming: Incoming,
    outgoing: Outgoing,
    loop: AbstractEventLoop,
) -> None:
    exchange = Exchange(incoming, outgoing, loop)
    await app(make_scope(context, content_type), exchange.receive, exchange.send)
    exchange.end()


def make_scope(context: Context, content_type: Optional[str]) -> dict[str, Any]:
    """Where there was no request, one is made: POST /."""
    from urllib.parse import unquote

    request = context.request
    method, path, query = ("POST", "/", "") if request is None else (request.method, request.path, request.query_string)
    flat = (["content-type", content_type] if content_type else []) if request is None else request.flat_headers
    headers = [
        (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in zip(flat[::2], flat[1::2])
    ]
    forwarded = None if request is None else request.headers.get("x-forwarded-proto")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method.upper(),
        "scheme": "https" if forwarded == "https" else "http",
        "path": unquote(path),
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": query.encode("utf-8", "replace"),
        "root_path": "",
        "headers": headers,
        "client": None,
        "server": None,
        "colibri.context": context,
    }


class Exchange:
    """`receive` and `send` of one invocation."""

    def __init__(self, incoming: Incoming, outgoing: Outgoing, loop: AbstractEventLoop) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._loop = loop
        self._answer: Optional[Answer] = None
        self._received = False
        """The end of the request's body was told."""
        self._sent = loop.create_future()
        """Done with the end of the answer's body."""

    async def receive(self) -> dict[str, Any]:
        if self._received:
            # Nothing more can come but the end; a cancelled invocation's task is cancelled here.
            await self._sent
        if self._sent.done():
            return {"type": "http.disconnect"}
        body = await self._incoming.read(self._loop)
        self._received = self._incoming.complete
        return {"type": "http.request", "body": body, "more_body": not self._received}

    async def send(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "http.response.start" and self._answer is None:
            self._answer = Answer(message["status"], _headers(message.get("headers", ())), b"")
        elif kind == "http.response.body" and self._answer is not None and not self._sent.done():
            await self._send_body(self._answer, message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"the ASGI application sent {kind!r}, which has no place here")

    def end(self) -> None:
        """The application has returned."""
        if not self._sent.done():
            what = "its answer is not complete" if self._outgoing.headed else "it did not answer"
            raise Failure("answer-invalid", f"the ASGI application returned, but {what}", "RuntimeError")
        self._outgoing.end_ok()

    async def _send_body(self, answer: Answer, body: bytes, more: bool) -> None:
        outgoing = self._outgoing
        if not outgoing.headed and not more and len(body) <= MAXIMUM_CHUNK:
            outgoing.send_head(answer.status, answer.headers, body, fin=True)
        else:
            if not outgoing.headed:
                outgoing.send_head(answer.status, answer.headers)
            await outgoing.write_on_loop(body, self._loop)
            if not more:
                outgoing.finish_body()
        if not more:
            self._sent.set_result(None)


def _headers(pairs: Any) -> tuple[str, ...]:
    flat: list[str] = []
    for name, value in pairs:
        flat += check_header(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
    return bounded(flat)
