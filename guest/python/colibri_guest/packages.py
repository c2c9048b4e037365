"""
What user code may import: Python's own library and its packages, nothing else of the machine.

The guest is started without `site` (`-E -s -S`), which would put the host's packages on sys.path; what else `site` does for programs
is done here. Where a developer's own environment is wanted, the guest is started without those options and leaves it as it is.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_given: Sequence[str] = ()


def take_environment() -> None:
    """Before user code runs: packages that lie outside of the bundle, and the names that `site` gives to programs."""
    global _given
    if not sys.flags.ignore_environment:
        _given = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    if sys.flags.no_site:
        import site  # It does nothing by itself then.

        site.setquit()
        site.sethelper()


def add_packages(folder: str) -> None:
    """Puts a folder of packages first on sys.path, and heeds its .pth files as those of site-packages are."""
    sys.path.insert(0, folder)
    for each in (folder, *_given):
        if _has_pth(each):
            import site

            site.addsitedir(each)


def child_command(program: str) -> tuple[list[str], dict[str, str]]:
    """How another process of this guest is started, with the same packages, and what it finds in its environment beside ours."""
    flags = sys.flags
    options = [("-E", flags.ignore_environment), ("-s", flags.no_user_site), ("-S", flags.no_site)]
    environment = {"PYTHONPATH": os.pathsep.join(_given)} if _given else {}
    return [sys.executable, *[option for option, is_set in options if is_set], program], environment


def _has_pth(folder: str) -> bool:
    try:
        return any(name.endswith(".pth") for name in os.listdir(folder))
    except OSError:
        return False
