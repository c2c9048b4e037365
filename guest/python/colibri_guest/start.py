"""
From the start of the process to a guest that listens: `guest.sock` in the working directory, the sandbox's folder.

The socket listens before the larger imports begin, so whoever waits for the guest can connect while it gets ready.
"""

from __future__ import annotations

import gc
import os
import sys
from time import monotonic

SOCKET = "guest.sock"
BACKLOG = 128


def main() -> None:
    gc.disable()
    sys.dont_write_bytecode = True
    listener = _listen(SOCKET)
    _run(listener)


def _listen(path: str):
    import _socket

    if os.path.exists(path):
        os.unlink(path)
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(BACKLOG)
    return listener


def _run(listener) -> None:
    from .deferred import import_asyncio

    asyncio = import_asyncio()
    import socket

    from .guest import Guest, handle_signals
    from .link import Link
    from .packages import take_environment
    from .process import complain, move_own_path_last, scrub_environment
    from .thrown import stack_of

    take_environment()
    scrub_environment()
    move_own_path_last()
    _offer_module()
    loop = asyncio.SelectorEventLoop()
    # Its own asks the module, where user code may put a fake clock, or nothing.
    loop.time = monotonic  # type: ignore[method-assign]
    asyncio.set_event_loop(loop)
    guest = Guest(loop)
    guest.logs.install()
    handle_signals(guest)
    server = socket.socket(fileno=listener.detach())
    server.setblocking(False)
    loop.run_until_complete(loop.create_unix_server(lambda: Link(loop, guest.open), sock=server, backlog=BACKLOG))
    # What is here now stays: the collector need not look at it again.
    gc.freeze()
    gc.enable()
    while True:
        try:
            loop.run_forever()
        except SystemExit as error:
            # Raised by a task or a callback of user code.
            guest.exit_for_user(error)
        except BaseException as error:
            # What the loop itself lives on was replaced. The log goes by this loop, so these words go past it.
            complain(f"its event loop failed: {stack_of(error).rstrip()}")
            os._exit(1)


def _offer_module() -> None:
    """What `from colibri import …` gives, as the SDK does: functions need not bring it."""
    from .answers import Response
    from .context import Cancellation, Context, Request

    module = type(sys)("colibri", "What user code may import of the platform.")
    # Types of functions are for those who check types: here they are only names.
    names = {"Cancellation": Cancellation, "Context": Context, "Handler": object, "Init": object}
    vars(module).update(names, Request=Request, Response=Response)
    module.__all__ = [*names, "Request", "Response"]  # type: ignore[attr-defined]
    sys.modules["colibri"] = module
    Response.__module__ = "colibri"
