"""
The guest's state, and everything that is there once.

    pending ─LOAD→ loading ─LOADED→ loaded ─INIT→ initialising ─READY→ ready ─DRAIN→ draining → gone
                      └─FAILED→ failed               └─FAILED→ loaded

Owns: the state, the revision it is bound to, the slots, the highest epoch, the streams, the loaded function, the workers.

1. `active` is the number of taken slots, changed by the loop only, and never above `slots`.
2. A guest is bound once, with LOAD: one that failed to load takes no other function.
3. One control stream: a newer replaces the older. Data streams of an epoch below the highest are closed.
4. What LOAD or INIT came to is told to the control stream that is there, else to the next one.
"""

from __future__ import annotations

import os
import signal
import sys
from _thread import get_ident
from asyncio import CancelledError, _set_running_loop, set_event_loop, wait
from contextvars import copy_context
from time import perf_counter

from .context import Context
from .control import ControlStream
from .data import DataStream
from .frames import Violation
from .loader import LoadFailure, load_function
from .logs import Logs
from .process import complain, exit_status, leave, set_environment
from .styles import runs_on_loop
from .thrown import Failure, describe, stack_of, thrown
from .workers import Workers, start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from typing import Any, Callable, Optional

    from .bundle import BundleWriter
    from .lifespan import Lifespan
    from .link import Handler, Link
    from .loader import Function
    from .processes import Processes

TERMINATE_GRACE_MS = 30_000
EXIT_WAIT_S = 1.0
CANCEL_WAIT_S = 1.0
STOP_WAIT_S = 10.0
"""What an ASGI application has to stop, at most: less where the grace ends before."""


class Guest:
    function: Function
    workers: Workers

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.logs = Logs()
        self.state = "pending"
        self.active = 0
        self.slots = 0
        self._bound: Optional[dict[str, Any]] = None
        """The whole LOAD."""
        self._epoch = 0
        self._control: Optional[ControlStream] = None
        self._data: set[DataStream] = set()
        self._unsaid: Optional[Callable[[ControlStream], None]] = None
        self._leaving = False
        self._lifespan: Optional[Lifespan] = None
        self.processes: Optional[Processes] = None
        """Of `execution: process`: user code runs there, not here."""
        self._grace_ends = 0.0
        self._thread = get_ident()

    def open(self, link: Link, kind: str) -> Handler:
        """A connection whose preamble named its kind."""
        if kind == "data":
            data = DataStream(self, link)
            self._data.add(data)
            return data
        previous, self._control = self._control, ControlStream(self, link)
        if previous is not None:
            previous.link.close()
        self.logs.queue.wake = self._control.log
        self._control.open()
        if self._unsaid is not None:
            unsaid, self._unsaid = self._unsaid, None
            unsaid(self._control)
        return self._control

    # What streams ask.

    def hello(self) -> dict[str, Any]:
        return {
            "runtime": "python",
            "runtimeVersion": ".".join(map(str, sys.version_info[:3])),
            "pid": os.getpid(),
            "state": self.state,
            "delivers": ["mount", "bytes"],
            **self._binding(),
        }

    def welcome(self) -> dict[str, Any]:
        return {"state": self.state, "slots": self.slots, **self._binding()}

    def admit(self, data: DataStream) -> bool:
        """False for an owner that was replaced. A newer one replaces those before it."""
        if data.epoch < self._epoch:
            return False
        self._epoch = data.epoch
        for other in list(self._data):
            if 0 <= other.epoch < self._epoch:
                other.retire()
        return True

    def take(self, given: dict[str, Any]) -> Optional[str]:
        """Takes a slot for an invocation, or says why not."""
        bound = self._bound
        if self.state == "draining":
            return "draining"
        if self.state != "ready" or bound is None:
            return "unbound"
        for key in ("revision", "function", "app", "tenant"):
            if given[key] != bound[key]:
                return "other-revision"
        if self.active >= self.slots:
            return "full"
        self.active += 1
        return None

    def release(self) -> None:
        self.active -= 1
        if self.state == "draining":
            self.loop.call_soon(self.settle)

    def forget(self, data: DataStream) -> None:
        self._data.discard(data)

    def forget_control(self, control: ControlStream) -> None:
        if self._control is control:
            self._control = None
            self.logs.queue.wake = lambda: None

    # Loading.

    def bind(self, request: dict[str, Any]) -> None:
        if self.state != "pending":
            raise Violation(f"LOAD for a guest that is {self.state}; it can be bound once")
        self.state = "loading"
        self._bound = request
        self.slots = request["concurrency"]

    def adopt(self, function: Function, request: dict[str, Any]) -> None:
        """Is bound to what was loaded by somebody else: a test of user code."""
        self.bind(request)
        self.function = function
        self.workers = Workers(self.slots)
        self.state = "loaded"

    def load(self, folder: str, bundle: Optional[BundleWriter] = None) -> None:
        """In the next turn: loading runs user code, which may take its time."""
        self.loop.call_soon(self._load, os.path.abspath(folder), bundle)

    def fail_load(self, code: str, error: dict[str, str]) -> None:
        self.state = "failed"
        self._say(lambda control: control.failed("load", code, error))

    def _load(self, folder: str, bundle: Optional[BundleWriter]) -> None:
        started = perf_counter()
        try:
            if bundle is not None:
                bundle.unpack(folder)
            if self._bound is not None and self._bound["execution"] == "process":
                # The loop holds tasks weakly.
                self._process_task = self.loop.create_task(self._load_processes(self._bound, folder, started))
                return
            self._load_function(folder)
        except Failure as failure:
            stack = failure.stack if isinstance(failure, LoadFailure) else None
            self._log_failure(stack or f"{failure.name}: {failure}")
            self.fail_load(failure.code, describe(failure.name, str(failure), stack))
            return
        self._loaded(started)

    async def _load_processes(self, request: dict[str, Any], folder: str, started: float) -> None:
        from .child import ChildFailure
        from .processes import Processes

        self.processes = Processes(self.loop, self.logs.queue, request, folder)
        try:
            await self.processes.load()
        except ChildFailure as failure:
            self.fail_load(failure.code, failure.error)
        else:
            self._loaded(started)

    def _loaded(self, started: float) -> None:
        if self.state == "loading":
            self.state = "loaded"
        duration_ms = (perf_counter() - started) * 1000
        self._say(lambda control: control.loaded(duration_ms))
        init = None if self._bound is None else self._bound.get("init")
        if init is not None and self.state == "loaded":
            self.init(init["timeoutMs"])

    def _load_function(self, folder: str) -> None:
        assert self._bound is not None, "LOAD came first"
        execution = self._bound["execution"]
        set_environment(self._bound["environment"])
        # While a module is imported no loop is running for it: it may call asyncio.run, as a program may.
        _set_running_loop(None)
        try:
            self.function = copy_context().run(load_function, folder, self._bound["handler"])
        finally:
            _set_running_loop(self.loop)
            set_event_loop(self.loop)
        if execution == "loop" and not self.function.on_loop:
            message = f"execution: loop runs coroutines, but {self.function.name} is plain and would hold up all others"
            raise Failure("load-failed", f"{message}; write async def, or set execution: threads", "ExecutionError")
        self.workers = Workers(self.slots)

    # Initialising.

    def init(self, timeout_ms: int) -> None:
        if self.state == "ready":
            self._say(lambda control: control.ready(0))  # Once is enough.
            return
        if self.state != "loaded":
            raise Violation(f"INIT for a guest that is {self.state}; it must be loaded")
        self.state = "initialising"
        started = perf_counter()
        if self.processes is not None:
            self._process_task = self.loop.create_task(self._init_processes(self.processes, timeout_ms, started))
        elif self.function.init is None and not self.function.is_asgi:
            self._initialised(started)
        else:
            task = self.loop.create_task(self._init(timeout_ms, started))
            # The loop holds tasks weakly.
            self._init_task = task

    async def _init_processes(self, processes: Processes, timeout_ms: int, started: float) -> None:
        from .child import ChildFailure

        try:
            await processes.init(timeout_ms)
        except ChildFailure as failure:
            self.state = "loaded" if self.state == "initialising" else self.state
            # Not a name of the except clause, which is gone when this is called later.
            code, error = "init-failed", failure.error
            self._say(lambda control: control.failed("init", code, error))
        else:
            if self.state == "initialising":
                self._initialised(started)

    async def _init(self, timeout_ms: int, started: float) -> None:
        assert self._bound is not None, "LOAD came first"
        context = Context({key: self._bound[key] for key in ("tenant", "app", "function", "revision")}, timeout_ms)
        running = self.loop.create_task(self._run_init(context))
        await wait({running}, timeout=timeout_ms / 1000)
        if self.state != "initialising":
            return
        if running.done():
            error = running.result()
        else:
            context.cancelled._set("deadline")
            running.cancel()
            error = Failure("init-failed", f"init did not finish within {timeout_ms} ms", "TimeoutError")
        if error is None:
            self._initialised(started)
        else:
            self._init_failed(error)

    async def _run_init(self, context: Context) -> Optional[BaseException]:
        """What it threw: kept from the task, which would end the loop for a SystemExit."""
        try:
            await self._call_init(context)
            await self._start_lifespan()
        except CancelledError:
            raise
        except SystemExit as error:
            return Failure("init-failed", f"init called sys.exit({error.code!r})", "SystemExit")
        except BaseException as error:
            return error
        return None

    async def _call_init(self, context: Context) -> None:
        init = self.function.init
        if init is None:
            return
        result = init(context) if runs_on_loop(init) else await self._in_thread(lambda: init(context))
        if hasattr(result, "__await__"):
            await result

    async def _start_lifespan(self) -> None:
        if not self.function.is_asgi:
            return
        from .lifespan import Lifespan

        lifespan = Lifespan(self.function.handler, self.loop, self.logs)
        await lifespan.start()
        self._lifespan = lifespan

    @property
    def app_state(self) -> Optional[dict[str, Any]]:
        """What an ASGI application's requests are given of its lifespan; None where it takes no part in one."""
        return self._lifespan.state if self._lifespan is not None and self._lifespan.takes_part else None

    def _in_thread(self, work: Callable[[], Any]) -> Future[Any]:
        """A thread of its own: one that hangs takes no worker away."""
        future = self.loop.create_future()
        context = copy_context()

        def settle(result: Any, error: Optional[BaseException]) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def run() -> None:
            try:
                outcome = (context.run(work), None)
            except StopIteration as error:  # A future does not take it.
                outcome = (None, RuntimeError(f"init raised {error!r}"))
            except BaseException as error:
                outcome = (None, error)
            self.loop.call_soon_threadsafe(settle, *outcome)

        start_thread(run)
        return future

    def _initialised(self, started: float) -> None:
        self.state = "ready"
        duration_ms = (perf_counter() - started) * 1000
        self._say(lambda control: control.ready(duration_ms))

    def _init_failed(self, error: BaseException) -> None:
        self.state = "loaded"
        self._log_failure(f"{error.name}: {error}" if isinstance(error, Failure) else stack_of(error))
        described = thrown(error)
        self._say(lambda control: control.failed("init", "init-failed", described))

    def _log_failure(self, text: str) -> None:
        self.logs.end(None)
        self.logs.error(None, text)

    # The end.

    def drain(self, grace_ms: int) -> None:
        """Takes nothing more, lets what runs finish, and goes."""
        if self.state == "draining":
            return
        self.state = "draining"
        self._grace_ends = self.loop.time() + grace_ms / 1000
        self.loop.call_later(grace_ms / 1000, self._cut_short)
        self.settle()

    def _cut_short(self) -> None:
        """The grace is over: what listens to its being cancelled has another moment to say so."""
        for data in list(self._data):
            data.cancel_all()
        self.loop.call_later(CANCEL_WAIT_S, self._leave)

    def terminate(self) -> None:
        """The process was told to go."""
        self.drain(TERMINATE_GRACE_MS)

    def settle(self) -> None:
        """Goes once it is draining, nothing runs and everything said has left."""
        if self.state != "draining" or self.active > 0 or self._leaving:
            return
        links = [stream.link for stream in self._streams()]
        for link in links:
            link.flush()
        if not all([link.drained for link in links]):
            return  # The one that is not will ask again.
        if self._control is not None and self.logs.queue.pending:
            self._control.log()
            self.loop.call_soon(self.settle)
        else:
            self._leave()

    def exit_for_user(self, error: SystemExit) -> None:
        """From any thread: user code called sys.exit. The platform tells its callers; here is told where it was."""
        status = exit_status(error)
        # On lines of their own: the last one becomes part of the answer's message, the paths before it must not.
        complain(f"exit({status}) called by the function\n{stack_of(error).rstrip()}")
        self.loop.call_soon_threadsafe(self._exit, status)
        if get_ident() != self._thread:
            # The loop says what waits and ends the process; it may be held up by other user code.
            from time import sleep

            sleep(EXIT_WAIT_S)
            os._exit(status)

    def _exit(self, status: int) -> None:
        if self._control is not None:
            self._control.send_logs()
        os._exit(status)

    def _leave(self) -> None:
        if self._leaving:
            return
        self._leaving = True
        for data in list(self._data):
            data.link.flush()
        if self._lifespan is None and self.processes is None:
            leave(0)
        # The loop holds tasks weakly.
        self._stop_task = self.loop.create_task(self._stop_and_leave())

    async def _stop_and_leave(self) -> None:
        left = self._grace_ends - self.loop.time()
        if self.processes is not None:
            await self.processes.stop(max(left, 0))
        if self._lifespan is not None:
            await self._lifespan.stop(min(max(left, CANCEL_WAIT_S), STOP_WAIT_S))
        if self._control is not None:
            self._control.send_logs()
        leave(0)

    def _streams(self) -> list[Any]:
        return [*self._data, *([] if self._control is None else [self._control])]

    def _say(self, say: Callable[[ControlStream], None]) -> None:
        if self._control is None:
            self._unsaid = say
        else:
            say(self._control)

    def _binding(self) -> dict[str, Any]:
        if self._bound is None:
            return {}
        return {"bound": {key: self._bound[key] for key in ("tenant", "app", "function", "revision")}}


def handle_signals(guest: Guest) -> None:
    # Not the loop's add_signal_handler: it imports `inspect`, which an idle guest does without.
    signal.signal(signal.SIGTERM, lambda _number, _frame: guest.loop.call_soon_threadsafe(guest.terminate))
    # Ctrl-C reaches the whole terminal group; what runs here ends when the platform says so. Not SIG_IGN: children inherit that.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
