"""
The slots of `execution: process`. The first process is started with LOAD; another when an invocation finds none free, up to one
for each slot; they stay and are used again. One that ends is replaced when it was the last, or something waits.

Owns: the children, and the invocations that wait for one. Does not own: the count of slots taken (the guest counts).

1. Children are at most as many as there are slots.
2. An invocation waits only while none is free.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .child import Child, ChildFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

    from .logs import LogQueue
    from .relayed import RelayedInvocation

FOLDER = "processes"
"""Of the children, in the sandbox folder."""
START_EXTRA_S = 5.0
"""Beyond the function's own init timeout, for its process to start and its code to be read."""
AFTER_GRACE_S = 1.0
"""Between the end of a child's grace and its being killed."""


class Processes:
    def __init__(self, loop: asyncio.AbstractEventLoop, logs: LogQueue, request: dict[str, Any], folder: str) -> None:
        """Code lies in `folder`."""
        self.loop = loop
        self.logs = logs
        code = {"kind": "mount", "path": folder}
        self._request = {**request, "code": code, "execution": "threads", "concurrency": 1, "init": None}
        self._slots: int = request["concurrency"]
        self._children: dict[Child, Optional[RelayedInvocation]] = {}
        self._starting: dict[Child, asyncio.Task[None]] = {}
        self._idle: list[Child] = []
        self._waiting: deque[RelayedInvocation] = deque()
        self._first: Optional[Child] = None
        self._init_timeout_ms = 0
        self._made = 0
        self._ready = False
        self._all_gone: asyncio.Future[None] = loop.create_future()

    async def load(self) -> None:
        """Raises ChildFailure."""
        self._first = child = self._make()
        await child.load(self._request)

    async def init(self, timeout_ms: int) -> None:
        """Raises ChildFailure; it may be asked again then, of the same process if it is still there."""
        self._init_timeout_ms = timeout_ms
        if self._first is None:
            await self.load()
        child = self._first
        assert child is not None, "it was loaded"
        await child.init(timeout_ms)
        self._first = None
        self._ready = True
        self._free(child)

    def run(self, invocation: RelayedInvocation) -> None:
        """As soon as a child is free."""
        if self._idle:
            self._give(self._idle.pop(), invocation)
            return
        self._waiting.append(invocation)
        self._start_another()

    def forget(self, invocation: RelayedInvocation) -> None:
        """It waits no more."""
        if invocation in self._waiting:
            self._waiting.remove(invocation)

    def released(self, child: Child) -> None:
        """Its invocation is over."""
        child.release()
        self._children[child] = None
        self._free(child)

    async def stop(self, grace_s: float) -> None:
        """Returns when all have ended; what does not end within the grace is killed."""
        self._ready = False
        for child in list(self._children):
            child.drain(int(grace_s * 1000))
        if self._children:
            await asyncio.wait({self._all_gone}, timeout=grace_s + AFTER_GRACE_S)
        for child in list(self._children):
            child.kill()

    def _make(self) -> Child:
        self._made += 1
        child = Child(self.loop, self.logs, f"{FOLDER}/{self._made}", self._gone)
        self._children[child] = None
        return child

    def _give(self, child: Child, invocation: RelayedInvocation) -> None:
        self._children[child] = invocation
        invocation.offer(child)

    def _free(self, child: Child) -> None:
        if child.end is not None:
            return
        if self._waiting:
            self._give(child, self._waiting.popleft())
        else:
            self._idle.append(child)

    def _gone(self, child: Child) -> None:
        invocation = self._children.pop(child)
        if child in self._idle:
            self._idle.remove(child)
        if self._first is child:
            self._first = None
        if invocation is not None:
            invocation.lost(child.end or "")
        if not self._children and not self._all_gone.done() and not self._ready:
            self._all_gone.set_result(None)
        # Not for one that never was ready: what can't start is tried again when something asks for it.
        if child not in self._starting and (self._waiting or (child.was_ready and not self._children)):
            self._start_another()

    def _start_another(self) -> None:
        if not self._ready or len(self._children) >= self._slots or len(self._starting) >= max(1, len(self._waiting)):
            return
        child = self._make()
        self._starting[child] = self.loop.create_task(self._start(child))

    async def _start(self, child: Child) -> None:
        timer = self.loop.call_later(self._init_timeout_ms / 1000 + START_EXTRA_S, child.kill)
        failure: Optional[ChildFailure] = None
        try:
            await child.load(self._request)
            await child.init(self._init_timeout_ms)
        except ChildFailure as error:
            failure = error
        timer.cancel()
        del self._starting[child]
        if failure is None:
            self._free(child)
            return
        child.kill()
        # Whoever has waited longest is told why.
        if self._waiting:
            self._waiting.popleft().fail(failure)
        if self._waiting and child.end is not None:
            self._start_another()
