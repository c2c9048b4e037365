"""The process itself: its environment, its raw standard error and its end."""

from __future__ import annotations

import os
import sys
from os import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping, NoReturn

KEPT = ("PATH", "HOME", "TMPDIR", "LANG")
"""What user code sees of the environment that the guest was started with."""


def complain(line: str) -> None:
    """Writes past the log, to whoever holds the sandbox's output. Its reader may be gone: that must not end the guest."""
    try:
        write(2, f"colibri guest: {line}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def scrub_environment() -> None:
    for name in list(os.environ):
        if name not in KEPT:
            del os.environ[name]


def set_environment(environment: Mapping[str, str]) -> None:
    os.environ.update(environment)
    if "TZ" in environment:
        import time

        time.tzset()


def exit_status(error: SystemExit) -> int:
    """What `sys.exit(…)` means to the system: nothing is 0, a number itself, anything else 1."""
    code = error.code
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def leave(status: int) -> NoReturn:
    """Ends the process without waiting for user threads, after their `atexit` functions."""
    try:
        import atexit

        atexit._run_exitfuncs()
    except BaseException as error:  # User code: whatever it does, the process ends.
        complain(f"an atexit function failed: {error!r}")
    finally:
        os._exit(status)


def move_own_path_last() -> None:
    """The guest's modules stay importable, but nothing of a user's can be hidden by them."""
    own = sys.path.pop(0)
    if own and own != os.getcwd():
        sys.path.append(own)
