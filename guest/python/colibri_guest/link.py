"""
One accepted connection, as frames.

Owns: the transport, the preamble, the frames that wait to be written. Does not own: what frames mean (its handler does).

1. Frames leave in the order in which they were appended, joined: one write per turn of the loop.
2. Any thread may append; only the loop writes.
3. A Violation raised by the handler closes this link and nothing else, with the reason on the raw standard error.
4. `drained` is true only while everything written is in the kernel's hands.
"""

from __future__ import annotations

from asyncio import Protocol

from .frames import PREAMBLE_BYTES, PROTOCOL_VERSION, FrameReader, Violation, decode_preamble, encode_preamble
from .outbox import Outbox
from .process import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport
    from typing import Callable, Optional
    from typing import Protocol as Interface

    class Handler(Interface):
        def frame(self, type: int, flags: int, stream: int, head: bytes, body: bytes) -> None: ...
        def turn(self) -> None:
            """All frames of one chunk were given."""

        def drained(self) -> None:
            """What was written has left."""

        def flushing(self) -> None:
            """On the loop, before what was appended is written."""

        def closed(self) -> None: ...


class Link(Outbox, Protocol):
    def __init__(self, loop: AbstractEventLoop, open: Callable[[Link, str], Handler]) -> None:
        super().__init__(loop)
        self.closed = False
        self.drained = True
        self._open = open
        self._transport: Optional[Transport] = None
        self._handler: Optional[Handler] = None
        self._kind = "new"
        self._preamble = b""
        self._reader = FrameReader()

    def flush(self) -> None:
        """Writes what waits, now."""
        self._scheduled = False
        outbox = self._outbox
        count = len(outbox)
        if self._handler is not None:
            self._handler.flushing()
        if count == 0:
            return
        data = outbox[0] if count == 1 else b"".join(outbox[:count])
        del outbox[:count]
        if not self.closed and self._transport is not None:
            self._transport.write(data)

    def close(self, reason: Optional[str] = None) -> None:
        """With a reason: something went wrong. What waits is still written."""
        if self.closed:
            return
        if reason is not None:
            complain(f"closing a {self._kind} stream: {reason}")
        self.flush()
        if self._transport is not None:
            self._transport.close()
        self._end()

    # What follows is called by asyncio.

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        self._transport = transport
        # Nothing waits unnoticed: `pause_writing` is called as soon as the kernel does not take everything.
        transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        try:
            if self._handler is None:
                data = self._handshake(data)
                if self._handler is None:
                    return
            frame = self._handler.frame
            for type, flags, stream, head, body in self._reader.push(data):
                if self.closed:
                    return
                frame(type, flags, stream, head, body)
            self._handler.turn()
        except Violation as violation:
            self.close(str(violation))

    def pause_writing(self) -> None:
        self.drained = False

    def resume_writing(self) -> None:
        self.drained = True
        if self._handler is not None:
            self._handler.drained()

    def connection_lost(self, error: Optional[Exception]) -> None:
        if not self.closed:
            self._end()
        self.drained = True

    def _end(self) -> None:
        self.closed = True
        if self._handler is not None:
            self._handler.closed()

    def _handshake(self, data: bytes) -> bytes:
        """Answers the preamble once it is complete, and returns what follows it."""
        self._preamble += data
        if len(self._preamble) < PREAMBLE_BYTES:
            return b""
        self._kind, version = decode_preamble(self._preamble)
        self.append(encode_preamble(self._kind, min(version, PROTOCOL_VERSION)))
        self._handler = self._open(self, self._kind)
        return self._preamble[PREAMBLE_BYTES:]


class DialedLink(Link):
    """A connection that we open: we send our preamble first, and the other side answers with its own."""

    def __init__(self, loop: AbstractEventLoop, kind: str, handler: Handler, broken: Callable[[str], None]) -> None:
        """`broken` is told what the other side did to break the contract, before `closed`."""
        super().__init__(loop, lambda _link, _kind: handler)
        self._kind = kind
        self._broken = broken

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.append(encode_preamble(self._kind))

    def close(self, reason: Optional[str] = None) -> None:
        if reason is not None and not self.closed:
            self._broken(reason)
        super().close(reason)

    def _handshake(self, data: bytes) -> bytes:
        self._preamble += data
        if len(self._preamble) < PREAMBLE_BYTES:
            return b""
        kind, _version = decode_preamble(self._preamble)
        if kind != self._kind:
            raise Violation(f"a {kind} stream answered where a {self._kind} stream was asked for")
        self._handler = self._open(self, kind)
        return self._preamble[PREAMBLE_BYTES:]
