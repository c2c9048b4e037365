"""
What user code prints and logs while it is tested.

Owns: sys.stdout, sys.stderr and a handler of the root logger, for as long as something runs. 1. Only what is written for an invocation is
kept; all else goes where it went before. 2. When nothing runs, everything is as it was, unless somebody else has replaced it meanwhile.
"""

from __future__ import annotations

import logging
import sys
from threading import Lock
from typing import Any, Dict, Iterator, List

from contextlib import contextmanager

from ._guest.logs import FUNCTION_LOGGER, LogHandler, Logs, invocation_id

_lock = Lock()
_kept: Dict[str, Logs] = {}
"""Whose output it is, by invocation."""
_saved: Dict[str, Any] = {}


@contextmanager
def kept(logs: Logs, invocation: str) -> Iterator[None]:
    """What is written for this invocation goes to `logs`."""
    with _lock:
        _kept[invocation] = logs
        if len(_kept) == 1:
            _install()
    try:
        yield
    finally:
        with _lock:
            del _kept[invocation]
            if not _kept:
                _restore()


class _Text:
    """sys.stdout or sys.stderr: looks like the one it stands for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before = getattr(sys, name)

    def write(self, text: str) -> int:
        return self._target().write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._target().flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target(), name)

    def _target(self) -> Any:
        logs = _kept.get(invocation_id.get() or "")
        return self._before if logs is None else getattr(logs, self._name)


class _Records(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        logs = _kept.get(invocation_id.get() or "")
        if logs is not None:
            LogHandler(logs.queue).emit(record)


def _install() -> None:
    root, function = logging.getLogger(), logging.getLogger(FUNCTION_LOGGER)
    handler = _Records()
    _saved.update(root=root.level, function=function.level, handler=handler)
    for name in ("stdout", "stderr"):
        _saved[name] = getattr(sys, name)
        text = _saved[f"our {name}"] = _Text(name)
        setattr(sys, name, text)
    root.addHandler(handler)
    # As in a sandbox; a test that listens to more still does.
    if root.level > logging.INFO or root.level == logging.NOTSET:
        root.setLevel(logging.INFO)
    function.setLevel(logging.DEBUG)


def _restore() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is _saved[f"our {name}"]:
            setattr(sys, name, _saved[name])
    logging.getLogger().removeHandler(_saved["handler"])
    logging.getLogger().setLevel(_saved["root"])
    logging.getLogger(FUNCTION_LOGGER).setLevel(_saved["function"])
    _saved.clear()
