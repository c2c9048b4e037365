"""
One data stream: what a gateway invokes here.

Owns: the invocations that came on it. Does not own: the slots, the state, what the guest is bound to.

1. ACCEPTED leaves, into the kernel's hands, before user code of what it accepts runs: that code may spin or exit at once.
2. A slot is free before the frame that says so leaves.
3. When the stream goes, its invocations are cancelled; they hold their slots until their code returns.
"""

from __future__ import annotations

from collections import deque

from . import messages
from .frames import ACCEPTED, CANCEL, DATA, FIN, HELLO, INVOKE, MISROUTED, WINDOW, Violation, encode
from .invocation import Invocation
from .messages import decode_head, encode_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from .guest import Guest
    from .link import Link
    from .relayed import RelayedInvocation

    Running = Union[Invocation, RelayedInvocation]
    """It runs here, or is relayed to a process of its own."""


class DataStream:
    def __init__(self, guest: Guest, link: Link) -> None:
        self.link = link
        self.owner = "?"
        self.epoch = -1
        """Of the owner, -1 before its HELLO."""
        self._guest = guest
        self._running: dict[int, Running] = {}
        self._highest = 0
        self._accepted = 0
        """The highest stream accepted in this turn, 0 for none."""
        self._retired = False
        self._starting: list[Running] = []
        self._over: deque[Running] = deque()

    def frame(self, type: int, flags: int, stream: int, head: bytes, body: bytes) -> None:
        if type == INVOKE:
            self._invoke(flags, stream, head, body)
        elif type == DATA:
            self._receive(flags, self._find(stream, "DATA"), body)
        elif type == WINDOW:
            credit = decode_head(head, "WINDOW", messages.WINDOW)["credit"]
            invocation = self._find(stream, "WINDOW")
            if invocation is not None:
                invocation.give(credit)
        elif type == CANCEL:
            reason = decode_head(head, "CANCEL", messages.CANCEL)["reason"]
            invocation = self._find(stream, "CANCEL")
            if invocation is not None:
                invocation.cancel(reason)
        elif type == HELLO and self.epoch < 0 and stream == 0:
            self._greet(head)
        else:
            raise Violation(f"a frame of type 0x{type:02x} on stream {stream} has no place on a data stream")

    def turn(self) -> None:
        if self._accepted > 0:
            self.link.append(encode(ACCEPTED, 0, self._accepted))
            self._accepted = 0
            self.link.flush()
        if self.link.drained:
            self._start()

    def drained(self) -> None:
        self._start()
        self._guest.settle()

    def flushing(self) -> None:
        over = self._over
        while over:
            invocation = over.popleft()
            if self._running.pop(invocation.stream, None) is not None:
                self._guest.release()
        if self._retired and not self._running:
            # Not within the flush: what is being flushed goes first.
            self._guest.loop.call_soon(self.link.close)

    def finished(self, invocation: Running) -> None:
        """From any thread, before its last frame is appended."""
        self._over.append(invocation)

    def retire(self) -> None:
        """A newer owner is here: nothing more is taken; what was accepted is answered, then the stream closes."""
        if self._retired:
            return
        self._retired = True
        self._refuse("epoch", 0)
        if not self._running:
            self.link.close()

    def _refuse(self, reason: str, stream: int) -> None:
        """On stream 0: the whole data stream."""
        self.link.append(encode(MISROUTED, 0, stream, encode_head({"reason": reason})))

    def cancel_all(self) -> None:
        for invocation in list(self._running.values()):
            invocation.cancel("shutdown")

    def closed(self) -> None:
        self._starting = []
        self._guest.forget(self)
        self.cancel_all()

    def _greet(self, head: bytes) -> None:
        hello = decode_head(head, "HELLO", messages.DATA_HELLO)
        self.owner, self.epoch = hello["owner"], hello["epoch"]
        if not self._guest.admit(self):
            self.retire()
            return
        self.link.append(encode(HELLO, 0, 0, encode_head(self._guest.welcome())))

    def _invoke(self, flags: int, stream: int, head: bytes, body: bytes) -> None:
        if self.epoch < 0:
            raise Violation("INVOKE before HELLO")
        if stream <= self._highest:
            raise Violation(f"INVOKE on stream {stream}, which is not above the {self._highest} of the one before")
        given = decode_head(head, "INVOKE", messages.INVOKE)
        self._highest = stream
        refusal = "epoch" if self._retired else self._guest.take(given)
        if refusal is not None:
            self._refuse(refusal, stream)
            return
        invocation = self._running[stream] = self._make(stream, given, head)
        self._accepted = stream
        self._receive(flags, invocation, body)

    def _make(self, stream: int, given: dict[str, Any], head: bytes) -> Running:
        processes = self._guest.processes
        if processes is None:
            return Invocation(self._guest, self, stream, given)
        from .relayed import RelayedInvocation

        return RelayedInvocation(processes, self, stream, given, head)

    def _receive(self, flags: int, invocation: Running | None, body: bytes) -> None:
        if invocation is None or invocation.over:
            return
        invocation.receive(body, flags & FIN != 0)
        if invocation.can_start:
            self._starting.append(invocation)

    def _find(self, stream: int, what: str) -> Running | None:
        """None for one that is over or was refused: its gateway may not know yet."""
        invocation = self._running.get(stream)
        if invocation is None and (stream == 0 or stream > self._highest):
            raise Violation(f"{what} on stream {stream}, which was not invoked")
        return invocation

    def _start(self) -> None:
        starting, self._starting = self._starting, []
        for invocation in starting:
            invocation.start()
