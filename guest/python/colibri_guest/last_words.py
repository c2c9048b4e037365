"""The end of what a process wrote to its standard error."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

TAIL = 4 * 1024
LONGEST_LINE = 500
NAMED = re.compile(r"(FATAL|[\w.]*(Error|Exception|Exit|Interrupt)\b)")


class LastWords:
    def __init__(self) -> None:
        self._text = b""

    def add(self, text: bytes) -> None:
        self._text = (self._text + text)[-TAIL:]

    @property
    def line(self) -> Optional[str]:
        """The line that names a crash's reason, else the last one."""
        lines = [line.strip() for line in self._text.decode("utf-8", "replace").split("\n")]
        said = [line for line in lines if line]
        named = [line for line in said if NAMED.match(line)]
        return (named or said or [None])[-1]
