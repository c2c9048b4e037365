"""
One invocation, from its first frame to its last.

    arriving ─body complete→ waiting ─ACCEPTED has left→ running → over
        └──────── CANCEL ───────┴──→ over

Owns: its body until it is complete, its context, its way out. Does not own: its slot (the guest counts) and its thread or task.

1. Exactly one frame with LAST ends it, whatever user code does.
2. Once cancelled its outcome is `cancelled`, whatever user code answers; the slot is held until that code returns.
"""

from __future__ import annotations

from asyncio import CancelledError

from .answers import to_answer, to_chunk
from .context import Context
from .frames import INITIAL_WINDOW, MAXIMUM_CHUNK, Violation
from .inputs import decode_input
from .logs import invocation_id
from .outgoing import CANCELLED, Cancelled, Outgoing, encode_failure
from .thrown import Failure, stack_of, thrown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task
    from typing import Any, Optional

    from .answers import Answer
    from .data import DataStream
    from .guest import Guest


class Invocation:
    __slots__ = (
        "id",
        "stream",
        "complete",
        "running",
        "outgoing",
        "_guest",
        "_data",
        "_context",
        "_content_type",
        "_pieces",
        "_window",
        "_uncredited",
        "_task",
    )

    def __init__(self, guest: Guest, data: DataStream, stream: int, given: dict[str, Any]) -> None:
        self.id: str = given["id"]
        self.stream = stream
        self.complete = False
        """All of the body has come."""
        self.running = False
        append = data.link.append if guest.function.on_loop else data.link.append_threadsafe
        self.outgoing = Outgoing(stream, append, self._finished)
        self._guest = guest
        self._data = data
        self._context = Context(given, given["budgetMs"])
        request = self._context.request
        self._content_type: Optional[str] = given.get("contentType") if request is None else request.content_type
        self._pieces: list[bytes] = []
        self._window = INITIAL_WINDOW
        self._uncredited = 0
        self._task: Optional[Task[None]] = None

    # From the loop.

    def receive(self, body: bytes, fin: bool) -> int:
        """A part of the body. Returns the credit to give, usually 0. Raises Violation when the window is passed."""
        if self.complete:
            raise Violation(f"a body on stream {self.stream} after its end")
        self.complete = fin
        size = len(body)
        if size == 0:
            return 0
        self._window -= size
        if self._window < 0:
            raise Violation(f"the body on stream {self.stream} passed its window by {-self._window} bytes")
        self._pieces.append(body)
        self._uncredited += size
        if fin or self._uncredited < MAXIMUM_CHUNK:
            return 0
        credit, self._uncredited = self._uncredited, 0
        self._window += credit
        return credit

    def start(self) -> None:
        """The body is complete and ACCEPTED has left."""
        guest = self._guest
        if self.outgoing.over:
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
        if not self.running:
            self.outgoing.end(CANCELLED)
        elif self._task is not None:
            self._task.cancel()

    def _finished(self) -> None:
        self._guest.logs.end(self.id)
        self._data.finished(self)

    def _take_input(self) -> Any:
        if self._context.cancelled.reason is not None:
            raise Cancelled
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        return decode_input(self._content_type, body)

    # On a worker's thread.

    def _run(self) -> None:
        invocation_id.set(self.id)
        try:
            value = self._take_input()
            self._deliver(self._guest.function.handler(value, self._context))
        except BaseException as error:
            self._fail(error)

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
        outgoing.end_body()

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
            value = self._take_input()
            result = self._guest.function.handler(value, self._context)
            if hasattr(result, "__await__"):
                result = await result
            await self._deliver_on_loop(to_answer(result))
        except BaseException as error:
            self._fail(error)

    async def _finish_on_loop(self, rest: Any) -> None:
        try:
            if self._context.cancelled.reason is not None:
                raise Cancelled
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
            self.outgoing.end_body()

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
        self.outgoing.end_body()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, SystemExit):
            self._guest.exit_for_user(error)
            return
        own = isinstance(error, (Cancelled, CancelledError))
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
