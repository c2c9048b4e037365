"""
The lifespan of an ASGI application (specification 2.0): told to start before the first invocation and to stop before the process
ends, in one task that lives as long.

    starting ─startup.complete→ running ─shutdown→ stopping → over
        ├─startup.failed→ over, and init has failed with its message
        └─raised or returned→ over: it does not take part, and runs all the same

Owns: that task, and the state that each request is given a copy of.
"""

from __future__ import annotations

import asyncio

from .asgi import VERSIONS
from .thrown import Failure, stack_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from .logs import Logs


class Lifespan:
    def __init__(self, app: Callable[..., Any], loop: asyncio.AbstractEventLoop, logs: Logs) -> None:
        self.state: dict[str, Any] = {}
        self.takes_part = False
        """The application has started by it."""
        self._app = app
        self._loop = loop
        self._logs = logs
        self._told = False
        """It has received the startup."""
        self._started: asyncio.Future[None] = loop.create_future()
        self._ending: asyncio.Future[None] = loop.create_future()
        self._task: Optional[asyncio.Task[None]] = None

    async def start(self) -> None:
        """Raises Failure (init-failed) with what the application says is wrong."""
        self._task = self._loop.create_task(self._run())
        try:
            await self._started
        except BaseException:
            self._task.cancel()
            raise

    async def stop(self, limit_s: float) -> None:
        """Never raises; waits no longer than it is told."""
        if self._task is None or self._task.done():
            return
        if not self._ending.done():
            self._ending.set_result(None)
        _done, late = await asyncio.wait({self._task}, timeout=limit_s)
        if late:
            self._logs.error(None, f"the ASGI application did not stop within {limit_s:.1f} s of lifespan.shutdown")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": VERSIONS["version"], "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._raised(error)
        if not self._started.done():
            self._started.set_result(None)

    def _raised(self, error: BaseException) -> None:
        if self._started.done():
            if self._started.exception() is None:
                self._logs.error(None, stack_of(error))
        elif isinstance(error, SystemExit):
            self._started.set_exception(error)
        elif self._told:
            # The protocol has it run on; but who raises here seldom means that.
            message = "it runs on without its lifespan; to refuse to start, send lifespan.startup.failed"
            self._logs.error(None, f"{stack_of(error)}\nthe ASGI application raised this when it was told to start: {message}")

    async def _receive(self) -> dict[str, str]:
        if not self._told:
            self._told = True
            return {"type": "lifespan.startup"}
        await asyncio.shield(self._ending)
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "lifespan.startup.complete" and not self._started.done():
            self.takes_part = True
            self._started.set_result(None)
        elif kind == "lifespan.startup.failed" and not self._started.done():
            said = str(message.get("message") or "") or "the ASGI application sent lifespan.startup.failed without a message"
            self._started.set_exception(Failure("init-failed", said, "LifespanError"))
        elif kind == "lifespan.shutdown.failed" and self._ending.done():
            self._logs.error(None, f"lifespan.shutdown.failed: {message.get('message') or 'no message'}")
        elif kind != "lifespan.shutdown.complete" or not self._ending.done():
            raise RuntimeError(f"the ASGI application sent {kind!r}, which has no place here")
