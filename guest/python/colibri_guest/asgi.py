"""
An ASGI application (specification 3.0, HTTP 2.4) as a function: the request's body streams in and the answer streams out, both
under their windows. The slot is held until the application returns, so what it does after its answer is within the invocation.

When the caller leaves, `receive` says `http.disconnect` and `send` raises OSError; what has not returned soon after is cancelled.
"""

from __future__ import annotations

from .answers import Answer, bounded, check_header
from .frames import MAXIMUM_CHUNK
from .http_request import HttpRequest
from .outgoing import Cancelled
from .thrown import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Any, Callable, Optional

    from .context import Context
    from .incoming import Incoming
    from .outgoing import Outgoing

VERSIONS = {"version": "3.0", "spec_version": "2.4"}


class Disconnected(OSError):
    """Raised by `send` when nobody waits for the answer any more."""


async def run_app(app: Callable[..., Any], scope: dict[str, Any], exchange: Exchange) -> None:
    await app(scope, exchange.receive, exchange.send)
    exchange.end()


def make_scope(context: Context, content_type: Optional[str], state: Optional[dict[str, Any]]) -> dict[str, Any]:
    """`state`: what the application put there when it started, if it takes part in the lifespan protocol."""
    from urllib.parse import unquote

    request = HttpRequest(context, content_type)
    client = request.client
    scope = {
        "type": "http",
        "asgi": dict(VERSIONS),
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        # Of ASGI's path the root is a part.
        "path": request.root + unquote(request.path),
        "raw_path": (request.root + request.path).encode("utf-8", "replace"),
        "query_string": request.query.encode("utf-8", "replace"),
        "root_path": request.root,
        "headers": [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in request.headers],
        "client": None if client is None else (client, 0),
        "server": request.server,
        "extensions": {},
        "colibri.context": context,
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope


class Exchange:
    """`receive` and `send` of one invocation."""

    def __init__(self, method: str, incoming: Incoming, outgoing: Outgoing, loop: AbstractEventLoop) -> None:
        self._bodiless = method == "HEAD"
        self._incoming = incoming
        self._outgoing = outgoing
        self._loop = loop
        self._answer: Optional[Answer] = None
        self._received = False
        """The end of the request's body was told."""
        self._disconnected = False
        self._sent = loop.create_future()
        """Done with the end of the answer's body, or when the caller has left."""

    def disconnect(self) -> None:
        """The caller has left."""
        self._disconnected = True
        self._incoming.stop()
        if not self._sent.done():
            self._sent.set_result(None)

    async def receive(self) -> dict[str, Any]:
        if self._received:
            # Nothing more can come but the end. Shielded: a receive that is cancelled must not end the others.
            from asyncio import shield

            await shield(self._sent)
        if self._sent.done():
            return {"type": "http.disconnect"}
        body = await self._incoming.read(self._loop)
        if self._disconnected:
            return {"type": "http.disconnect"}
        self._received = self._incoming.complete
        return {"type": "http.request", "body": body, "more_body": not self._received}

    async def send(self, message: dict[str, Any]) -> None:
        if self._disconnected:
            raise Disconnected("the caller has left")
        kind = message.get("type")
        if kind == "http.response.start" and self._answer is None:
            self._answer = Answer(_status(message), _headers(message.get("headers", ())), b"")
        elif kind == "http.response.body" and self._answer is not None and not self._sent.done():
            await self._send_body(self._answer, message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"the ASGI application sent {kind!r}, which has no place here")

    def end(self) -> None:
        """The application has returned."""
        if self._disconnected:
            raise Cancelled
        if not self._sent.done():
            what = "its answer is not complete" if self._outgoing.headed else "it did not answer"
            raise Failure("answer-invalid", f"the ASGI application returned, but {what}", "RuntimeError")
        self._outgoing.end_ok()

    async def _send_body(self, answer: Answer, body: bytes, more: bool) -> None:
        outgoing = self._outgoing
        if self._bodiless:
            body = b""
        try:
            if not outgoing.headed and not more and len(body) <= MAXIMUM_CHUNK:
                outgoing.send_head(answer.status, answer.headers, body, fin=True)
            else:
                if not outgoing.headed:
                    outgoing.send_head(answer.status, answer.headers)
                await outgoing.write_on_loop(body, self._loop)
                if not more:
                    outgoing.finish_body()
        except Cancelled:
            raise Disconnected("the caller has left") from None
        if not more and not self._sent.done():
            self._sent.set_result(None)


def _status(message: dict[str, Any]) -> int:
    status = message.get("status")
    if isinstance(status, int) and 200 <= status <= 599:
        return int(status)
    raise Failure("answer-invalid", f"the ASGI application answered with status {status!r}; use 200 to 599", "ValueError")


def _headers(pairs: Any) -> tuple[str, ...]:
    flat: list[str] = []
    for name, value in pairs:
        flat += check_header(bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
    return bounded(flat)
