"""
Builds the wheel with the standard library alone (PEP 517): the package, and the guest's code that its test kit runs, as `colibri._guest`.

    python3 sdk/python/backend.py <folder, made if need be>
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
import zipfile
from typing import Any, Dict, Iterator, Optional, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
GUEST = os.path.join(HERE, "..", "..", "guest", "python", "colibri_guest")
README = os.path.join(HERE, "..", "..", "docs", "sdk-python.md")
NAME = "colibri_functions"
WHEEL = "Wheel-Version: 1.0\nGenerator: colibri\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
OF_PROCESSES = ("__main__.py", "child.py", "deferred.py", "last_words.py", "processes.py", "relayed.py", "start.py")
"""What a sandbox's processes are made of, and nothing in a test uses."""
TIME = (2020, 1, 1, 0, 0, 0)
"""Of every file: the same sources make the same bytes."""


def build_wheel(
    wheel_directory: str, config_settings: Optional[Dict[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    version = _of_project("version")
    info = f"{NAME}-{version}.dist-info"
    files = dict(_package_files())
    files[f"{info}/METADATA"] = _metadata(version)
    files[f"{info}/WHEEL"] = WHEEL.encode()
    rows = [f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in files.items()]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    name = f"{NAME}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, TIME), data, zipfile.ZIP_DEFLATED)
    return name


def _package_files() -> Iterator[Tuple[str, bytes]]:
    for folder, inside in ((os.path.join(HERE, "colibri"), "colibri"), (GUEST, "colibri/_guest")):
        for name in sorted(os.listdir(folder)):
            if name.endswith((".py", ".typed")) and not (inside.endswith("_guest") and name in OF_PROCESSES):
                with open(os.path.join(folder, name), "rb") as file:
                    yield f"{inside}/{name}", file.read()


def _metadata(version: str) -> bytes:
    with open(README, encoding="utf-8") as file:
        readme = file.read()
    fields = {
        "Metadata-Version": "2.1",
        "Name": _of_project("name"),
        "Version": version,
        "Summary": _of_project("description"),
        "License": "Apache-2.0",
        "Requires-Python": _of_project("requires-python"),
        "Description-Content-Type": "text/markdown",
    }
    return ("".join(f"{name}: {value}\n" for name, value in fields.items()) + f"\n{readme}").encode()


def _of_project(key: str) -> str:
    """Not tomllib: Python has that from 3.11 on only."""
    with open(os.path.join(HERE, "pyproject.toml"), encoding="utf-8") as file:
        found = re.search(rf'^{key} = "(.*)"$', file.read(), re.MULTILINE)
    assert found is not None, f"pyproject.toml has no {key}"
    return found[1]


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the folder for the wheel: python3 sdk/python/backend.py dist")
    os.makedirs(sys.argv[1], exist_ok=True)
    print(build_wheel(sys.argv[1]))
