"""
An invocation that runs in a process of its own: its frames go to a child and back as they are, but for the stream's number.

    waiting ─a child is free→ offered ─ACCEPTED→ running → over
       └────────────────────────┴────── CANCEL, or the child is lost ──→ over

Owns: the body until the child has accepted.

1. Exactly one last frame.
2. Offered again only if it was not accepted: nothing of it ran.
"""

from __future__ import annotations

from . import messages
from .child import ChildFailure
from .frames import CANCEL, DATA, END, FIN, INITIAL_WINDOW, LAST, MAXIMUM_CHUNK, WINDOW, Violation, encode
from .messages import decode_head, encode_head
from .outgoing import CANCELLED, encode_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import TimerHandle
    from typing import Any, Optional

    from .child import Child
    from .data import DataStream
    from .processes import Processes

LET_GO_S = 0.5
"""A child that has not let go of a cancelled invocation by then is killed: the gateway would end the whole sandbox after 1 s."""
MAXIMUM_ATTEMPTS = 3


class RelayedInvocation:
    def __init__(self, processes: Processes, data: DataStream, stream: int, given: dict[str, Any], head: bytes) -> None:
        self.id: str = given["id"]
        self.stream = stream
        self.over = False
        self.can_start = True
        self._processes = processes
        self._data = data
        self._head = head
        self._deadline = processes.loop.time() + given["budgetMs"] / 1000
        self._held: list[bytes] = []
        self._complete = False
        self._window = INITIAL_WINDOW
        """What the gateway may still send."""
        self._child: Optional[Child] = None
        self._accepted = False
        self._attempts = 0
        self._cancelled = False
        self._timer: Optional[TimerHandle] = None

    # From the gateway.

    def start(self) -> None:
        """ACCEPTED has left."""
        if self.over or not self.can_start:
            return
        self.can_start = False
        self._processes.run(self)

    def receive(self, body: bytes, fin: bool) -> None:
        if self._complete:
            raise Violation("a body goes on after its end")
        if len(body) > MAXIMUM_CHUNK:
            raise Violation(f"a frame with {len(body)} bytes of body, over {MAXIMUM_CHUNK}")
        self._window -= len(body)
        if self._window < 0:
            raise Violation(f"a body passed its window by {-self._window} bytes")
        self._complete = fin
        if not self._accepted:
            self._held.append(body)
        if self._child is not None:
            self._child.send(DATA, FIN if fin else 0, b"", body)

    def give(self, credit: int) -> None:
        if self._child is not None:
            self._child.send(WINDOW, 0, encode_head({"credit": credit}))

    def cancel(self, reason: str) -> None:
        if self.over:
            return
        child = self._child
        if child is None:
            self._processes.forget(self)
            self._end(CANCELLED)
            return
        if not self._cancelled:
            child.send(CANCEL, 0, encode_head({"reason": reason}))
        self._cancelled = True
        self._stop_timer()
        loop = self._processes.loop
        left = max(0.0, self._deadline - loop.time()) if reason == "client" else 0.0
        self._timer = loop.call_later(LET_GO_S + left, child.kill)

    # From the processes.

    def offer(self, child: Child) -> None:
        """It is free."""
        self._child = child
        self._attempts += 1
        last = len(self._held) - 1
        for index, body in enumerate(self._held):
            flags = FIN if self._complete and index == last else 0
            if index == 0:
                child.invoke(self, flags, self._head, body)
            else:
                child.send(DATA, flags, b"", body)

    def accepted(self) -> None:
        self._accepted = True
        self._held = []

    def relay(self, type: int, flags: int, head: bytes, body: bytes) -> None:
        if type == WINDOW:
            self._window += decode_head(head, "WINDOW", messages.WINDOW)["credit"]
            if self._window > INITIAL_WINDOW:
                raise Violation("WINDOW gives more than was sent")
        elif not self._accepted:
            self.accepted()
        frame = encode(type, flags, self.stream, head, body)
        if type == END or flags & LAST:
            self._finish(frame)
        else:
            self._data.link.append(frame)

    def refused(self) -> None:
        """The child took nothing: it is about to end."""
        child, self._child = self._child, None
        assert child is not None, "it was offered"
        child.release()
        child.kill()
        self._again("the function's process refused the invocation")

    def lost(self, how: str) -> None:
        """Its child has ended."""
        code = "function-exited" if self._child is None else self._child.end_code
        self._child = None
        if self.over:
            return
        if self._cancelled:
            self._end(CANCELLED)
        elif self._accepted:
            self.fail(ChildFailure(code, {"name": "Error", "message": how}))
        else:
            self._again(how)

    def fail(self, failure: ChildFailure) -> None:
        """There is no child for it, or no more."""
        if self.over:
            return
        if failure.code in ("function-exited", "out-of-memory"):
            self._processes.logs.add("stderr", "error", self.id, str(failure))
        error = {"name": failure.error["name"], "message": failure.error["message"]}
        self._end(encode_failure(failure.code, error))

    def _again(self, how: str) -> None:
        if self._cancelled:
            self._end(CANCELLED)
        elif self._attempts < MAXIMUM_ATTEMPTS:
            self._processes.run(self)
        else:
            self.fail(ChildFailure("function-exited", {"name": "Error", "message": how}))

    def _end(self, head: bytes) -> None:
        self._finish(encode(END, LAST, self.stream, head))

    def _finish(self, frame: bytes) -> None:
        self.over = True
        self._held = []
        self._stop_timer()
        self._data.finished(self)
        self._data.link.append(frame)
        child, self._child = self._child, None
        if child is not None:
            self._processes.released(child)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
