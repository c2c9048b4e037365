"""Which processes of this sandbox the kernel killed alone for want of memory."""

from __future__ import annotations

import re
import threading

from .control import OOM_KILLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

_lock = threading.Lock()
_told = 0
"""How many of the kernel's kills have been told of."""


def was_killed_for_memory() -> bool:
    """Of a process that was killed just now; each kill is told of once."""
    global _told
    with _lock:
        if _count_kills(OOM_KILLS) <= _told:
            return False
        _told += 1
        return True


def _count_kills(path: Optional[str]) -> int:
    """None where the platform does not show them: there a sandbox ends as a whole."""
    if path is None:
        return 0
    try:
        with open(path, encoding="ascii") as file:
            found = re.search(r"^oom_kill (\d+)$", file.read(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0
