"""
What functions on Colibri are given and may give. The same names are there in a sandbox, without this package in the bundle.

    from colibri import Context

    def handler(input, context: Context):
        context.log.info("called by %s", context.request and context.request.headers.get("user-agent"))
        return {"hello": input}
"""

from __future__ import annotations

from typing import Any, Callable

from ._guest.answers import Response
from ._guest.context import Cancellation, Context, Request

__all__ = ["Cancellation", "Context", "Handler", "Init", "Request", "Response"]

Handler = Callable[[Any, Context], Any]
"""`handler(input, context)`, plain or async: the input is decoded by its content type, what it returns is encoded."""
Init = Callable[[Context], Any]
"""`init(context)`, plain or async: runs once in each sandbox, before its first invocation."""
