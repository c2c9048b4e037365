"""Exceptions as the platform sees them: name, message and a stack that begins with the user's frames."""

from __future__ import annotations

import os

from .messages import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Optional

MAXIMUM_NAME = 200
MAXIMUM_MESSAGE = 8_192
MAXIMUM_STACK = 32_768
ABOVE = (f"{__name__.rpartition('.')[0]}.", "importlib.", "_frozen_importlib.")
"""Packages whose frames stand above the user's. This one has another name where it is part of another."""


_roots: tuple[str, ...] = ()
"""Where the function's files lie, each as the text that stands before a path relative to it."""


def set_root(root: str) -> None:
    """Stacks name files relative to it from now on."""
    global _roots
    _roots = tuple({f'File "{os.path.join(folder, "")}' for folder in (root, os.path.realpath(root))})


class Failure(Exception):
    """The user's fault, found by the guest itself: a code of the catalogue and a message that says what would be right."""

    def __init__(self, code: str, message: str, name: str = "Error") -> None:
        super().__init__(message)
        self.code = code
        self.name = name


def thrown(error: BaseException) -> dict[str, str]:
    """Name, message and, unless the guest itself found the failure, the stack."""
    if isinstance(error, Failure):
        return describe(error.name, str(error))
    return describe(type(error).__name__, message_of(error), stack_of(error))


def describe(name: str, message: str, stack: Optional[str] = None) -> dict[str, str]:
    described = {"name": cut(name, MAXIMUM_NAME), "message": cut(message, MAXIMUM_MESSAGE)}
    if stack is not None:
        described["stack"] = cut(stack, MAXIMUM_STACK)
    return described


def name_parameters(error: BaseException, parameters: str) -> None:
    """Has `error`, which came of calling user code, say what it is called with, where that is why it did not begin."""
    frames = error.__traceback__
    never_began = frames is not None and frames.tb_next is None
    if type(error) is TypeError and never_began and "argument" in message_of(error):
        error.args = (f"{message_of(error)}; {parameters}",)


def message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # A user's __str__ may raise.
        return f"(its message can't be shown: {type(broken).__name__} in __str__)"


def stack_of(error: BaseException) -> str:
    """The traceback as Python prints it, without the guest's own frames above the user's, with files as their author knows them."""
    import traceback

    try:
        lines = traceback.format_exception(type(error), error, user_frames(error.__traceback__))
        return shorten_paths("".join(lines).rstrip("\n"))
    except Exception:  # Same as in message_of.
        return f"{type(error).__name__}: {message_of(error)}"


def shorten_paths(text: str) -> str:
    """Of tracebacks in `text`."""
    for root in _roots:
        text = text.replace(root, 'File "')
    return text


def user_frames(frames: Optional[TracebackType]) -> Optional[TracebackType]:
    while frames is not None and _is_own(frames):
        frames = frames.tb_next
    return frames


def last_place(error: BaseException, root: str) -> Optional[str]:
    """`file:line` of the innermost frame under `root`, relative to it."""
    place = None
    frames = error.__traceback__
    while frames is not None:
        name = frames.tb_frame.f_code.co_filename
        if name.startswith(root):
            place = f"{name[len(root) :].lstrip('/')}:{frames.tb_lineno}"
        frames = frames.tb_next
    return place


def _is_own(frames: TracebackType) -> bool:
    module = frames.tb_frame.f_globals.get("__name__", "")
    return f"{module}.".startswith(ABOVE) or frames.tb_frame.f_code.co_filename.startswith("<frozen importlib")
