"""
What a callable is, told from its parameters and its name, without calling it:

    (input, context)             a handler; its coroutines run on the loop
    (scope, receive, send)       an ASGI application, whatever its name
    (environ, start_response)    a WSGI application: by its second parameter, or where it is named `app` or `application`
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

HANDLER = "handler"
ASGI = "asgi"
WSGI = "wsgi"
APPS = ("app", "application")
"""Names of exports that are applications; taken where there is no `handler`."""
COROUTINE = 0x80 | 0x100 | 0x200
"""Flags of a code object: a coroutine, an iterable coroutine, an async generator."""
VARIABLE = 0x04
"""Flag of a code object: it takes any number of arguments."""
MANY = 1_000


class StyleError(Exception):
    """It is none of these; says why, after the export's name."""


def find_style(function: Callable[..., Any], name: str) -> str:
    """Raises StyleError for an `app` that can't be one."""
    parameters = _parameters(function)
    on_loop = runs_on_loop(function)
    if parameters is not None:
        if parameters.required == 3:
            return ASGI
        if parameters.names[1:2] == ["start_response"]:
            return WSGI
    if name not in APPS:
        return HANDLER
    if on_loop:
        if parameters is not None and not parameters.takes(3):
            raise StyleError(f"is asynchronous, but does not take (scope, receive, send) as an ASGI application does; {RENAME}")
        return ASGI
    if parameters is not None and not parameters.takes(2):
        raise StyleError(_why_not(parameters))
    return WSGI


def runs_on_loop(function: Callable[..., Any]) -> bool:
    code = _code(_inner(function))
    return code is not None and code.co_flags & COROUTINE != 0


RENAME = "a handler (input, context) must not be named app or application"


class _Parameters:
    """Those that may be given by position."""

    def __init__(self, names: list[str], required: int, maximum: int) -> None:
        self.names = names
        self.required = required
        self.maximum = maximum

    def takes(self, count: int) -> bool:
        return self.required <= count <= self.maximum


def _why_not(parameters: _Parameters) -> str:
    if parameters.required == 1:
        return "is an ASGI 2 application, which takes its scope alone; ASGI 3 applications take (scope, receive, send)"
    return f"is neither an ASGI application (scope, receive, send) nor a WSGI one (environ, start_response); {RENAME}"


def _parameters(function: Any) -> Optional[_Parameters]:
    """None where they can't be told: built-in callables and functools.partial."""
    code = _code(function)
    if code is None:
        return None
    owner = _plain(function)
    names = list(code.co_varnames[: code.co_argcount])
    # A function has its own arguments only; methods, instances and classes are given `self`.
    if owner is not function:
        names = names[1:]
    required = max(0, len(names) - len(owner.__defaults__ or ()))
    return _Parameters(names, required, MANY if code.co_flags & VARIABLE else len(names))


def _code(function: Any) -> Any:
    return getattr(_plain(function), "__code__", None)


def _plain(function: Any) -> Any:
    """The function that runs when this is called."""
    if isinstance(function, type):
        return function.__init__
    if hasattr(function, "__func__"):
        return function.__func__
    if hasattr(function, "__code__"):
        return function
    called = getattr(type(function), "__call__", None)
    return getattr(called, "__func__", called)


def _inner(function: Any) -> Any:
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return function
