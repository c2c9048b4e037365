"""User code: the file and the export that a handler names, as functions that can be run."""

from __future__ import annotations

import os
import sys

from .packages import add_packages
from .styles import APPS, ASGI, WSGI, StyleError, find_style, runs_on_loop
from .thrown import Failure, last_place, message_of, set_root, stack_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, Optional

DEFAULT_EXPORT = "handler"
PACKAGES = "_packages"
"""Folder of a bundle that holds its dependencies."""
SHOWN_NAMES = 20


class Function:
    """What was loaded."""

    __slots__ = ("handler", "init", "is_app", "is_asgi", "on_loop", "name")

    def __init__(self, handler: Callable[..., Any], init: Optional[Callable[..., Any]], style: str, name: str) -> None:
        self.handler = handler
        self.init = init
        self.name = name
        """As messages say it."""
        self.is_asgi = style == ASGI
        self.is_app = style in (ASGI, WSGI)
        """Whether the handler is an application, which reads its request as it comes."""
        self.on_loop = self.is_asgi or runs_on_loop(handler)
        """Whether it runs on the loop: ASGI applications, coroutine functions and async generators. Others run in threads."""


class LoadFailure(Failure):
    """`error` with the place and the stack of what user code threw."""

    def __init__(self, message: str, name: str = "Error", stack: Optional[str] = None) -> None:
        super().__init__("load-failed", message, name)
        self.stack = stack


def load_function(root: str, handler: str) -> Function:
    """`handler` is `file` or `file#export` under `root`. Runs the file. Raises LoadFailure."""
    file, _, export = handler.partition("#")
    path = _find_file(root, file)
    set_root(root)
    add_packages(os.path.join(root, PACKAGES))
    sys.path.insert(0, root)
    module = _run_file(root, path)
    return find_function(module, os.path.relpath(path, root), export)


def find_function(module: ModuleType, file: str, export: str = "") -> Function:
    """The export named, or `handler`, or an application. Raises LoadFailure."""
    if not export:
        export = next((name for name in (DEFAULT_EXPORT, *APPS) if hasattr(module, name)), DEFAULT_EXPORT)
    return _take_exports(module, file, export)


def _find_file(root: str, file: str) -> str:
    if not os.path.isdir(root):
        raise LoadFailure(f"the code folder {root} does not exist")
    for name in (file, f"{file}.py"):
        path = os.path.normpath(os.path.join(root, name))
        if not path.startswith(os.path.join(root, "")):
            raise LoadFailure(f"the handler's file {file!r} is outside the bundle")
        if os.path.isfile(path):
            return path
    raise LoadFailure(f"there is no file {file!r}; the bundle has {_shown(_files(root))}")


def _files(root: str) -> list[str]:
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name != PACKAGES and not name.startswith("."))
        found += sorted(os.path.relpath(os.path.join(folder, name), root) for name in files)
        if len(found) > SHOWN_NAMES:
            break
    return found


def _run_file(root: str, path: str) -> ModuleType:
    # Stack traces name modules by file: this is where the user's frames begin.
    try:
        return _import_file(root, path)
    except SyntaxError as error:
        raise LoadFailure(_syntax_message(error, root), type(error).__name__) from None
    except SystemExit as error:
        raise LoadFailure(f"the file called sys.exit({error.code!r}) while it was loaded", "SystemExit", stack_of(error)) from None
    except ImportError as error:
        remedy = _import_remedy(error)
        raise LoadFailure(_placed(error, root) + remedy, type(error).__name__, stack_of(error)) from None
    except BaseException as error:
        raise LoadFailure(_placed(error, root), type(error).__name__, stack_of(error)) from None


def _import_file(root: str, path: str) -> ModuleType:
    from importlib import import_module

    parts = os.path.relpath(path, root)[: -len(".py")].split("/") if path.endswith(".py") else [""]
    name = ".".join(parts)
    # The module's natural name, so that others of the bundle import the same one; unless Python's own has taken it.
    if all(part.isidentifier() for part in parts) and parts[0] not in sys.modules:
        module = import_module(name)
        if os.path.realpath(getattr(module, "__file__", None) or "") == os.path.realpath(path):
            return module
    return _import_under_own_name(path)


def _import_under_own_name(path: str) -> ModuleType:
    from importlib.machinery import SourceFileLoader
    from importlib.util import module_from_spec, spec_from_loader

    name = "colibri_function"
    spec = spec_from_loader(name, SourceFileLoader(name, path))
    assert spec is not None and spec.loader is not None, "a loader was given"
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _take_exports(module: ModuleType, file: str, export: str) -> Function:
    handler: Any = module
    for part in export.split("."):
        if not hasattr(handler, part):
            raise LoadFailure(_lacks(module, file, export), "AttributeError")
        handler = getattr(handler, part)
    if not callable(handler):
        raise LoadFailure(f"{export!r} in {file} is not a function but of type {type(handler).__name__}", "TypeError")
    init = getattr(module, "init", None)
    if init is not None and not callable(init):
        raise LoadFailure(f"'init' in {file} is not a function but of type {type(init).__name__}", "TypeError")
    try:
        style = find_style(handler, export.rpartition(".")[2])
    except StyleError as error:
        raise LoadFailure(f"{export!r} in {file} {error}", "TypeError") from None
    return Function(handler, init, style, f"{export!r} in {file}")


def _lacks(module: ModuleType, file: str, export: str) -> str:
    """In the words of a deployment."""
    defined = _functions(module)
    app = ", or an ASGI application app" if export == DEFAULT_EXPORT else ""
    # A test gives a module, which no configuration names.
    is_named = file.endswith(".py") and len(defined) > 0
    other = f', or name another one in the configuration: "handler: {file}#{defined[0]}"' if is_named else ""
    return f"{file} does not define {export!r}; it defines {_shown(defined)}. Define {export}(input, context){app}{other}."


def _functions(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def _syntax_message(error: SyntaxError, root: str) -> str:
    file = error.filename or "?"
    file = os.path.relpath(file, root) if file.startswith(root) else file
    text = f": {error.text.strip()}" if error.text else ""
    return f"{file}:{error.lineno}: {error.msg}{text}"


def _import_remedy(error: ImportError) -> str:
    if not isinstance(error, ModuleNotFoundError):
        return ""
    return "; name the package in requirements.txt, or add the file to the function's folder"


def _placed(error: BaseException, root: str) -> str:
    place = last_place(error, root)
    return message_of(error) if place is None else f"{message_of(error)} ({place})"


def _shown(names: list[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more
