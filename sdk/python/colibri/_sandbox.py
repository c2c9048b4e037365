"""
A guest in this process, with its loop in a thread: what a sandbox is to a deployed function, without a process.

Owns: the thread and its loop. 1. User code is loaded and initialised once. 2. What would end a sandbox's process ends its invocation
here, not the test's process.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any, Callable, Dict, List, Optional, Tuple

from ._exchange import Exchange, Failed, split_body
from ._guest.frames import FAILED, FIN, HELLO, INVOKE, LOG, MISROUTED, READY
from ._guest.guest import Guest
from ._guest.loader import Function
from ._guest.logs import invocation_id
from ._guest.process import exit_status
from ._guest.thrown import stack_of
from ._memory_link import MemoryLink
from ._output import kept

GRACE_S = 1.0
"""What the platform leaves user code after the deadline before it kills the sandbox."""
STOP_S = 10.0
Entry = Dict[str, Any]


class Sandbox:
    def __init__(self, function: Function, bound: Dict[str, str], slots: int) -> None:
        self._loop = _Loop()
        self._thread = Thread(target=self._serve, daemon=True, name="colibri sandbox")
        self._entries: List[Entry] = []
        self._exchanges: Dict[int, Exchange] = {}
        self._streams = 0
        self._initialising = Lock()
        self._initialised: Optional[Future[Optional[Failed]]] = None
        self._thread.start()
        self._on_loop(lambda: self._open(function, {**bound, "concurrency": slots})).result()

    def initialise(self, marker: str, timeout_s: float) -> Optional[Failed]:
        """What failed; what it logs is tagged with the marker. Once it has succeeded it does nothing."""
        with self._initialising, kept(self._guest.logs, marker):
            self._initialised = Future()
            context = copy_context()
            context.run(invocation_id.set, marker)
            self._loop.call_soon_threadsafe(self._guest.init, int(timeout_s * 1000), context=context)
            return self._initialised.result()

    def invoke(
        self, given: Dict[str, Any], body: Any, on_piece: Optional[Callable[[bytes], object]]
    ) -> Tuple[Exchange, Optional[Failed]]:
        stream = self._streams = self._streams + 1
        exchange = Exchange(lambda *frame: self._send(stream, *frame), on_piece)
        self._exchanges[stream] = exchange
        first, rest = split_body(body)
        with kept(self._guest.logs, given["id"]):
            head = json.dumps(given).encode()
            self._send(stream, INVOKE, FIN if rest is None else 0, head, first)
            self._loop.call_soon_threadsafe(self._expect, exchange, given["budgetMs"] / 1000)
            if rest is not None:
                exchange.send_body(first, rest)
            return exchange, exchange.settled.result()

    def take_entries(self, *ids: Optional[str]) -> List[Entry]:
        """What was logged for these invocations so far."""

        def take() -> List[Entry]:
            self._control.handler.send_logs()
            taken = [entry for entry in self._entries if entry.get("invocation") in ids]
            self._entries = [entry for entry in self._entries if entry.get("invocation") not in ids]
            return taken

        return self._on_loop(take).result()

    def close(self) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    # On the loop.

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while True:
            try:
                self._loop.run_forever()
                return
            except SystemExit:
                continue  # Raised by a callback of user code.

    def _open(self, function: Function, bound: Dict[str, Any]) -> None:
        self._guest = _Guest(self._loop, self._exited)
        self._control = MemoryLink(self._loop, self._receive_control)
        self._data = MemoryLink(self._loop, self._receive_data)
        for link, kind in ((self._control, "control"), (self._data, "data")):
            link.handler = self._guest.open(link, kind)  # type: ignore[arg-type]
        self._guest.adopt(function, bound)
        self._data.handler.frame(HELLO, 0, 0, json.dumps({"owner": "test", "epoch": 1}).encode(), b"")

    def _send(self, stream: int, type: int, flags: int, head: bytes, body: bytes) -> None:
        def send() -> None:
            self._data.handler.frame(type, flags, stream, head, body)
            self._data.handler.turn()

        self._loop.call_soon_threadsafe(send)

    def _expect(self, exchange: Exchange, timeout_s: float) -> None:
        timers = [self._loop.call_later(timeout_s, exchange.cancel, "deadline")]
        timers.append(self._loop.call_later(timeout_s + GRACE_S, lambda: exchange.settle(exchange.left())))

        def cancel_timers() -> None:
            for timer in timers:
                timer.cancel()

        # From whichever thread settles it: timers may be cancelled by the loop's only.
        exchange.settled.add_done_callback(lambda _: self._loop.call_soon_threadsafe(cancel_timers))

    def _receive_control(self, type: int, _flags: int, _stream: int, head: bytes, _body: bytes) -> None:
        if type == LOG:
            self._entries += json.loads(head)["entries"]
        elif type in (READY, FAILED) and self._initialised is not None:
            self._control.handler.send_logs()
            failed = json.loads(head)
            self._initialised.set_result(None if type == READY else {"code": failed["code"], **failed["error"]})

    def _receive_data(self, type: int, flags: int, stream: int, head: bytes, body: bytes) -> None:
        exchange = self._exchanges.get(stream)
        if exchange is None:
            return
        if type == MISROUTED:
            message = f"more invocations at once than the sandbox has slots ({self._guest.slots}), or one that has exited"
            exchange.settle({"code": "concurrency-limit", "name": "Error", "message": message})
        else:
            exchange.receive(type, flags, head, body)

    def _exited(self, invocation: Optional[str], status: int, stack: str) -> None:
        self._guest.logs.error(invocation, stack)
        message = f"exit({status}) called by the function"
        # All that run in a sandbox end with its process.
        for exchange in list(self._exchanges.values()):
            exchange.settle({"code": "function-exited", "name": "SystemExit", "message": message, "stack": stack})
        self._guest.state = "draining"

    async def _stop(self) -> None:
        await self._guest.stop_app(STOP_S)
        self._guest.workers.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=GRACE_S) if tasks else None
        self._control.handler.send_logs()

    def _on_loop(self, action: Callable[[], Any]) -> Future[Any]:
        async def run() -> Any:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop)


class _Loop(asyncio.SelectorEventLoop):
    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
        """What a thread of user code still says when its sandbox is closed goes nowhere, as it would from a killed process."""
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        except RuntimeError:
            if not self.is_closed():
                raise
            return asyncio.Handle(callback, args, self, context)


class _Guest(Guest):
    def __init__(self, loop: asyncio.AbstractEventLoop, exited: Callable[[Optional[str], int, str], None]) -> None:
        super().__init__(loop)
        self._exited = exited

    def exit_for_user(self, error: SystemExit) -> None:
        self.loop.call_soon_threadsafe(self._exited, invocation_id.get(), exit_status(error), stack_of(error))

    def settle(self) -> None:
        """A guest that is draining leaves its process here: this one is the test's."""

    async def stop_app(self, limit_s: float) -> None:
        if self._lifespan is not None:
            await self._lifespan.stop(limit_s)
