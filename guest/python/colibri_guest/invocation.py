"""
One invocation, from its first frame to its last.

    arriving ─body complete→ waiting ─ACCEPTED has left→ running → over
        └──────── CANCEL ───────┴──→ over           (an application runs before its body is complete)

Owns: its body until it is complete, its context, its way out. Does not own: its slot (the guest counts) and its thread or task.

1. Exactly one frame with LAST ends it, whatever user code does.
2. Once cancelled its outcome is `cancelled`, whatever user code answers; the slot is held until that code returns.
3. Nothing is raised in a thread from outside: an exception between any two steps of user code could leave locks held and data half
   changed that other threads share. A plain handler looks at `context.cancelled`; its reads and writes of bodies raise.
"""

from __future__ import annotations

from asyncio import CancelledError

from .answers import to_answer, to_chunk
from .context import Context
from .frames import WINDOW, encode
from .incoming import Incoming
from .inputs import decode_input
from .logs import invocation_id
from .messages import encode_head
from .outgoing import CANCELLED, Cancelled, Outgoing, encode_failure
from .thrown import Failure, name_parameters, stack_of, thrown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task
    from typing import Any, Optional

    from .answers import Answer
    from .asgi import Exchange
    from .data import DataStream
    from .guest import Guest


DISCONNECT_S = 0.25
"""How long an application has that was told that its caller has left, before it is cancelled."""


class Invocation:
    __slots__ = (
        "id",
        "stream",
        "running",
        "incoming",
        "outgoing",
        "_guest",
        "_data",
        "_context",
        "_content_type",
        "_task",
        "_exchange",
        "_interruptible",
    )

    def __init__(self, guest: Guest, data: DataStream, stream: int, given: dict[str, Any]) -> None:
        self.id: str = given["id"]
        self.stream = stream
        self.running = False
        append = data.link.append if guest.function.on_loop else data.link.append_threadsafe
        self.outgoing = Outgoing(stream, append, self._finished)
        self.incoming = Incoming(guest.function.is_app, self._give_credit)
        self._guest = guest
        self._data = data
        self._context = Context(given, given["budgetMs"])
        request = self._context.request
        self._content_type: Optional[str] = given.get("contentType") if request is None else request.content_type
        self._task: Optional[Task[None]] = None
        self._exchange: Optional[Exchange] = None
        # The task has begun: one that is cancelled before would never run, and never end the invocation.
        self._interruptible = False

    # From the loop.

    @property
    def can_start(self) -> bool:
        """But for ACCEPTED, which must leave first."""
        return not self.running and (self.incoming.complete or self._guest.function.is_app)

    @property
    def over(self) -> bool:
        return self.outgoing.over

    def receive(self, body: bytes, fin: bool) -> None:
        """Raises Violation when the gateway breaks the contract."""
        self.incoming.add(body, fin)

    def give(self, credit: int) -> None:
        self.outgoing.give(credit)

    def start(self) -> None:
        """ACCEPTED has left."""
        guest = self._guest
        if self.outgoing.over or self.running:
            return
        self.running = True
        if not guest.function.on_loop:
            guest.workers.run(self._run, guest.active)
            return
        token = invocation_id.set(self.id)
        self._task = guest.loop.create_task(self._run_on_loop())
        invocation_id.reset(token)

    def cancel(self, reason: str) -> None:
        cancelled = self._context.cancelled
        if cancelled.is_set() or self.outgoing.over:
            return
        cancelled._set(reason)
        self.outgoing.cancel()
        self.incoming.stop()
        if not self.running:
            self.outgoing.end(CANCELLED)
        elif self._exchange is not None:
            # An application is told first, so that it may end in good order.
            self._exchange.disconnect()
            self._guest.loop.call_later(DISCONNECT_S, self._interrupt)
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        if self._interruptible and self._task is not None:
            self._task.cancel()

    def _give_credit(self, credit: int) -> None:
        if not self.outgoing.over:
            self._data.link.append(encode(WINDOW, 0, self.stream, encode_head({"credit": credit})))

    def _finished(self) -> None:
        self._guest.logs.end(self.id)
        self._data.finished(self)

    def _take_input(self) -> Any:
        return decode_input(self._content_type, self.incoming.take_all())

    # On a worker's thread.

    def _run(self) -> None:
        invocation_id.set(self.id)
        try:
            if self._guest.function.is_app:
                self._run_wsgi()
                return
            value = self._take_input()
            self._deliver(self._guest.function.handler(value, self._context))
        except BaseException as error:
            self._fail(error)

    def _run_wsgi(self) -> None:
        from .wsgi import make_environ, run_app

        guest = self._guest
        environ = make_environ(self._context, self._content_type, self.incoming, guest.loop, guest.slots > 1)
        run_app(guest.function.handler, environ, self.outgoing)
        if self._context.cancelled.reason is not None and not self.outgoing.over:
            raise Cancelled

    def _deliver(self, result: Any) -> None:
        if hasattr(result, "__await__"):
            self._hand_over(result)
            return
        answer = to_answer(result)
        if self._context.cancelled.reason is not None:
            raise Cancelled
        if answer.source is None:
            self._send_whole(answer)
        elif hasattr(answer.source, "__anext__"):
            self._hand_over(answer)
        else:
            self._stream(answer)

    def _send_whole(self, answer: Answer) -> None:
        outgoing = self.outgoing
        if outgoing.send_whole(answer):
            return
        outgoing.send_head(answer.status, _with_length(answer))
        outgoing.write(answer.body)
        outgoing.finish_body()
        outgoing.end_ok()

    def _stream(self, answer: Answer) -> None:
        source = answer.source
        try:
            for index, item in enumerate(source):
                chunk = self._open_stream(answer, index, item)
                self.outgoing.write(chunk)
        except BaseException:
            if hasattr(source, "close"):
                source.close()
            raise
        self._end_stream(answer)

    def _hand_over(self, rest: Any) -> None:
        """A plain handler answered with something that only the loop can run."""

        def begin() -> None:
            self._task = self._guest.loop.create_task(self._finish_on_loop(rest))

        self._guest.loop.call_soon_threadsafe(begin)

    # On the loop.

    async def _run_on_loop(self) -> None:
        try:
            self._begin()
            if self._guest.function.is_app:
                await self._run_app()
                return
            value = self._take_input()
            result = self._guest.function.handler(value, self._context)
            if hasattr(result, "__await__"):
                result = await result
            await self._deliver_on_loop(to_answer(result))
        except BaseException as error:
            self._fail(error)

    def _begin(self) -> None:
        self._interruptible = True
        if self._context.cancelled.reason is not None:
            raise Cancelled

    async def _run_app(self) -> None:
        from .asgi import Exchange, make_scope, run_app

        guest = self._guest
        scope = make_scope(self._context, self._content_type, guest.app_state)
        self._exchange = Exchange(scope["method"], self.incoming, self.outgoing, guest.loop)
        await run_app(guest.function.handler, scope, self._exchange)

    async def _finish_on_loop(self, rest: Any) -> None:
        try:
            self._begin()
            await self._deliver_on_loop(to_answer(await rest) if hasattr(rest, "__await__") else rest)
        except BaseException as error:
            self._fail(error)

    async def _deliver_on_loop(self, answer: Answer) -> None:
        if self._context.cancelled.reason is not None:
            raise Cancelled
        if answer.source is not None:
            await self._stream_on_loop(answer)
        elif not self.outgoing.send_whole(answer):
            self.outgoing.send_head(answer.status, _with_length(answer))
            await self.outgoing.write_on_loop(answer.body, self._guest.loop)
            self.outgoing.finish_body()
            self.outgoing.end_ok()

    async def _stream_on_loop(self, answer: Answer) -> None:
        source = answer.source
        index = 0
        try:
            if hasattr(source, "__anext__"):
                async for item in source:
                    await self._write_on_loop(answer, index, item)
                    index += 1
            else:
                for index, item in enumerate(source):
                    await self._write_on_loop(answer, index, item)
        except BaseException:
            if hasattr(source, "aclose"):
                await source.aclose()
            elif hasattr(source, "close"):
                source.close()
            raise
        self._end_stream(answer)

    async def _write_on_loop(self, answer: Answer, index: int, item: Any) -> None:
        chunk = self._open_stream(answer, index, item)
        await self.outgoing.write_on_loop(chunk, self._guest.loop)

    # Either way.

    def _open_stream(self, answer: Answer, index: int, item: Any) -> Any:
        """HEAD leaves with the first chunk: what fails before it is still answered as an error."""
        chunk = to_chunk(item, index)
        if index == 0:
            self.outgoing.send_head(answer.status, answer.streamed_headers(item))
        return chunk

    def _end_stream(self, answer: Answer) -> None:
        if not self.outgoing.headed:
            self.outgoing.send_head(answer.status, answer.streamed_headers(b""))
        self.outgoing.finish_body()
        self.outgoing.end_ok()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, SystemExit):
            self._guest.exit_for_user(error)
            return
        name_parameters(error, "handlers take (input, context)")
        own = isinstance(error, (Cancelled, CancelledError)) or type(error).__name__ == "Disconnected"
        cancelled = self._context.cancelled.is_set()
        if not (own and cancelled):
            text = f"{error.code}: {error}" if isinstance(error, Failure) else stack_of(error)
            self._guest.logs.error(self.id, text)
        if self.outgoing.over:
            return
        if cancelled:
            self.outgoing.end(CANCELLED)
            return
        code = error.code if isinstance(error, Failure) else "function-error"
        self.outgoing.end(encode_failure(code, thrown(error)))


def _with_length(answer: Answer) -> tuple[str, ...]:
    if any(name.lower() == "content-length" for name in answer.headers[::2]):
        return answer.headers
    return (*answer.headers, "content-length", str(len(answer.body)))
