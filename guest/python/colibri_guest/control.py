"""
The control stream: what the agent asks, and the log entries it is sent.

Owns: the bundle that is arriving. Does not own: the guest's state, the log's queue.

1. At most one log frame waits outside the queue: while the agent does not read, entries stay there, bounded.
"""

from __future__ import annotations

import os
from _thread import get_ident

from . import messages
from .bundle import BundleWriter
from .frames import CODE, DRAIN, FAILED, FIN, HELLO, INIT, LOAD, LOADED, PING, PONG, READY, Violation, encode
from .logs import FRAME_ENTRIES
from .messages import decode_head, encode_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .guest import Guest
    from .link import Link

ARCHIVE = "code.tar"
CODE_FOLDER = os.environ.get("COLIBRI_CODE_FOLDER", "code")
OOM_KILLS = os.environ.get("COLIBRI_OOM_KILLS")
"""Where the kernel counts processes that it killed for want of memory (oom_kills.py)."""


class ControlStream:
    def __init__(self, guest: Guest, link: Link) -> None:
        self.link = link
        self._guest = guest
        self._bundle: Optional[BundleWriter] = None
        self._logging = False
        """A turn of the loop that will send logs is on its way."""
        self._sending = False
        self._thread = get_ident()

    def open(self) -> None:
        self.say(HELLO, self._guest.hello())
        self.log()

    def frame(self, type: int, flags: int, stream: int, head: bytes, body: bytes) -> None:
        if stream != 0:
            raise Violation(f"a control frame of type 0x{type:02x} on stream {stream}")
        if type == PING:
            sequence = decode_head(head, "PING", messages.PING)["sequence"]
            self.say(PONG, {"sequence": sequence, "active": self._guest.active})
        elif type == LOAD:
            self._load(decode_head(head, "LOAD", messages.LOAD))
        elif type == CODE:
            self._receive(flags, body)
        elif type == INIT:
            self._guest.init(decode_head(head, "INIT", messages.INIT)["timeoutMs"])
        elif type == DRAIN:
            self._guest.drain(decode_head(head, "DRAIN", messages.DRAIN)["graceMs"])
        else:
            raise Violation(f"a frame of type 0x{type:02x} has no place on a control stream")

    def say(self, type: int, message: dict[str, Any]) -> None:
        self.link.append(encode(type, 0, 0, encode_head(message)))

    def loaded(self, duration_ms: float) -> None:
        self.say(LOADED, {"durationMs": duration_ms})

    def ready(self, duration_ms: float) -> None:
        self.say(READY, {"durationMs": duration_ms})

    def failed(self, phase: str, code: str, error: dict[str, str]) -> None:
        # Before it is said: a guest that could not be loaded is removed as soon as that is heard.
        self.send_logs(whole=True)
        self.say(FAILED, {"phase": phase, "code": code, "error": error})

    def log(self) -> None:
        """From any thread: there is something in the log."""
        if get_ident() == self._thread and len(self._guest.logs.queue) >= FRAME_ENTRIES:
            # User code keeps the loop from turning, and what it writes would be dropped.
            self.send_logs()
        elif not self._logging:
            self._logging = True
            self._guest.loop.call_soon_threadsafe(self.send_logs)

    def send_logs(self, whole: bool = False) -> None:
        """What the agent takes now; `whole`: all there is, which is bounded."""
        self._logging = False
        if self._sending:
            return
        self._sending = True
        for frame in self._guest.logs.queue.frames((lambda: not self.link.closed) if whole else self._can_write):
            self.link.append(frame)
            self.link.flush()
        self._sending = False

    def _can_write(self) -> bool:
        return self.link.drained and not self.link.closed

    def turn(self) -> None:
        pass

    def flushing(self) -> None:
        pass

    def drained(self) -> None:
        self.send_logs()
        self._guest.settle()

    def closed(self) -> None:
        if self._bundle is not None:
            self._bundle.discard()
            self._bundle = None
            message = "the control stream went before the bundle was whole"
            self._guest.fail_load("load-failed", {"name": "BundleError", "message": message})
        self._guest.forget_control(self)

    def _load(self, request: dict[str, Any]) -> None:
        self._guest.bind(request)
        code = request["code"]
        if code["kind"] == "mount":
            self._guest.load(code["path"])
        else:
            self._bundle = BundleWriter(code["bytes"], code["digest"], ARCHIVE)

    def _receive(self, flags: int, body: bytes) -> None:
        if self._bundle is None:
            raise Violation("CODE without a LOAD whose code is bytes")
        self._bundle.write(body)
        if flags & FIN:
            bundle, self._bundle = self._bundle, None
            self._guest.load(CODE_FOLDER, bundle)
