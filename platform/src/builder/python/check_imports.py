"""
Looks for what a handler imports when it is loaded and nothing brings. Nothing of the function is run.

    check_imports.py <handler's file>     in the function's folder, its packages installed

Prints a JSON line for each that is missing: {"file", "line", "name", "certain"}. Followed are the function's own modules. Counted are
statements of a module's own level: what stands in a `try`, an `if` or a function may be meant to be missing. Nothing is certain where
code or packages may change what is found.
"""

import ast
import importlib.util
import json
import os
import sys

PACKAGES = "_packages"
PROVIDED = {"colibri", "colibri_guest", "__main__"}
"""By the guest."""
FINDERS = {"path", "meta_path", "path_hooks", "modules"}


def in_folder(folder, name):
    """The module's file or folder below `folder`: a compiled one has more in its name."""
    path = os.path.join(folder, name)
    for candidate in (f"{path}.py", os.path.join(path, "__init__.py")):
        if os.path.isfile(candidate):
            return candidate
    if os.path.isdir(path):
        return path
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    return next((os.path.join(folder, each) for each in names if each.startswith(f"{name}.")), None)


def in_library(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return True


def find_own(dotted):
    """Of the function's own modules: the files on the way, and the part that is missing, if one is. None where it has no such module."""
    found, folder = [], "."
    parts = dotted.split(".")
    for index, part in enumerate(parts):
        path = in_folder(folder, part)
        if path is None:
            return None if index == 0 else (found, ".".join(parts[: index + 1]))
        found.append(path)
        folder = os.path.join(folder, part)
        if not os.path.isdir(folder) and index + 1 < len(parts):
            return found, ".".join(parts[: index + 2])
    return found, None


def changes_finding(tree):
    """Whether the module may bring what is not there: by sys.path and the like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in FINDERS and getattr(node.value, "id", "") == "sys":
            return True
        if isinstance(node, ast.ImportFrom) and (node.module == "sys" or node.module == "site"):
            return True
        if isinstance(node, ast.Name) and node.id in ("__path__", "site"):
            return True
    return False


def imported(tree, file):
    """Names and lines of the modules that are imported without a condition."""
    package = os.path.normpath(file).split(os.sep)[:-1]
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and node.level <= len(package):
            yield ".".join([*package[: len(package) - node.level + 1], node.module]), node.lineno


def main(handler):
    files, missing, is_certain = [handler], [], True
    try:
        is_certain = not any(name.endswith(".pth") for name in os.listdir(PACKAGES))
    except OSError:
        pass
    for file in files:
        try:
            with open(file, "rb") as opened:
                tree = ast.parse(opened.read(), file)
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        is_certain = is_certain and not changes_finding(tree)
        for name, line in imported(tree, file):
            top = name.partition(".")[0]
            if top in PROVIDED or top in sys.builtin_module_names:
                continue
            own = find_own(name)
            if own is None and in_folder(PACKAGES, top) is None and not in_library(top):
                missing.append((file, line, top))
            if own is not None:
                found, lacking = own
                if lacking is not None:
                    missing.append((file, line, lacking))
                files += [path for path in found if path.endswith(".py") and path not in files]
    for file, line, name in missing:
        print(json.dumps({"file": os.path.normpath(file), "line": line, "name": name, "certain": is_certain}))


main(sys.argv[1])
