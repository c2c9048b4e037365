"""
Imports asyncio without what a guest that waits for code does not need: TLS and inspection cost 15 ms and 5 MiB. While asyncio
is imported, stand-ins take their place; afterwards they are gone from `sys.modules`, so user code that imports `ssl` gets the
real one, and the names that asyncio keeps forward to it on first use.
"""

from __future__ import annotations

import sys

DEFERRED = ("ssl", "asyncio.sslproto", "inspect")


class StandIn(type(sys)):
    """Looks like the module of its name; imports it when an attribute is asked for."""

    def __getattr__(self, name: str) -> object:
        if name in ("__path__", "__file__", "__spec__"):
            raise AttributeError(name)
        return getattr(self._load(), name)

    def _load(self):
        module_name = self.__name__
        if sys.modules.get(module_name) is self:
            del sys.modules[module_name]
        from importlib import import_module

        return import_module(module_name)


def import_asyncio():
    """Returns the module `asyncio`."""
    stand_ins = {name: StandIn(name) for name in DEFERRED if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        import asyncio
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
    return asyncio
