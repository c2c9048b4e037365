"""
A bundle that is delivered as bytes: a plain tar, checked against its digest and unpacked into a folder.

The bytes are the platform's, yet what is in them was a user's: no path and no link leaves the folder.
"""

from __future__ import annotations

import os

from .thrown import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo

COPY_BYTES = 256 * 1024


class BundleWriter:
    """Takes CODE frames. They wait in a file rather than in memory."""

    def __init__(self, length: int, digest: str, archive: str) -> None:
        from hashlib import sha256

        self._length = length
        self._digest = digest
        self._archive = archive
        self._received = 0
        self._hash = sha256()
        self._file = open(archive, "wb")

    def write(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._length:
            return  # Too long: told when all has come.
        self._hash.update(data)
        self._file.write(data)

    def unpack(self, folder: str) -> None:
        """Everything has come. Raises Failure (load-failed)."""
        try:
            self._file.close()
            self._verify()
            _unpack_whole(self._archive, folder)
        finally:
            self.discard()

    def discard(self) -> None:
        self._file.close()
        if os.path.exists(self._archive):
            os.unlink(self._archive)

    def _verify(self) -> None:
        digest = f"sha256:{self._hash.hexdigest()}"
        if self._received != self._length:
            raise _failure(f"{self._received} bytes came, {self._length} were told of")
        if digest != self._digest:
            raise _failure(f"it has the digest {digest}, {self._digest} was expected")


def _unpack_whole(archive: str, folder: str) -> None:
    """All of it or nothing is left in `folder`."""
    from shutil import rmtree

    partial = f"{folder}.partial"
    rmtree(partial, ignore_errors=True)
    try:
        unpack(archive, partial)
        os.rename(partial, folder)
    finally:
        rmtree(partial, ignore_errors=True)


def unpack(archive: str, folder: str) -> None:
    """Raises Failure (load-failed) at the first entry that must not be unpacked."""
    import tarfile

    os.makedirs(folder)
    tree = _Tree()
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                _unpack_entry(tar, entry, folder, tree)
    except tarfile.TarError as error:
        raise _failure(f"it is not a tar archive: {error}") from None
    except OSError as error:
        raise _failure(f"it can't be unpacked: {error}") from None


class _Tree:
    """
    The paths of a bundle as its archive has told them so far: decides what may be written, before it is.

    Invariants: 1. a path is relative, has no `..`, and no file or link is told twice; 2. no entry lies below a link, so that a
    path leads where it says; 3. a symbolic link leads to something inside, also through others (see `_inside`); a hard link leads
    to an earlier file.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def folder(self, name: str) -> str:
        path = _relative(name)
        self._keep_from_links(path, name)
        if path in self._kinds:
            raise _failure(f"its entry {name!r} is a folder, and something else before")
        return path

    def add(self, name: str, kind: str) -> str:
        path = _relative(name)
        self._keep_from_links(path, name)
        if path == "" or path in self._kinds:
            raise _failure(f"its entry {name!r} is there twice")
        self._kinds[path] = kind
        return path

    def earlier_file(self, name: str, target: str) -> str:
        path = _relative(target)
        if self._kinds.get(path) != "file":
            raise _failure(f"its entry {name!r} is a hard link to {target!r}, which is no file before it")
        return path

    def _keep_from_links(self, path: str, name: str) -> None:
        parts = path.split("/")
        for count in range(1, len(parts)):
            kind = self._kinds.get("/".join(parts[:count]))
            if kind is not None:
                raise _failure(f"its entry {name!r} lies below a {kind}")


def _unpack_entry(tar: TarFile, entry: TarInfo, folder: str, tree: _Tree) -> None:
    if entry.isdir():
        os.makedirs(os.path.join(folder, tree.folder(entry.name)), exist_ok=True)
    elif entry.issym():
        name = tree.add(entry.name, "link")
        os.symlink(_inside(name, entry.linkname), _place(folder, name))
    elif entry.islnk():
        target = tree.earlier_file(entry.name, entry.linkname)
        os.link(os.path.join(folder, target), _place(folder, tree.add(entry.name, "file")))
    elif entry.isreg():
        _copy(tar, entry, _place(folder, tree.add(entry.name, "file")))
    else:
        raise _failure(f"its entry {entry.name!r} is neither a file nor a folder nor a link")


def _place(folder: str, name: str) -> str:
    """Where the entry goes; the folders above it are there."""
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def _relative(name: str) -> str:
    parts = _names_in(name)
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise _failure(f"its entry {name!r} leaves the folder")
    return "/".join(parts)


def _inside(name: str, target: str) -> str:
    """
    The target of a link, in its shortest form. `..` may only stand first: there it goes up from a real folder, since nothing lies
    below a link, so counting is enough. After a name it would go up from wherever a link of that name leads, and two harmless links
    could make one that leads outside.
    """
    parts = _names_in(target)
    ups = parts.count("..")
    outside = target == "" or target.startswith("/") or "\0" in target or parts[:ups] != [".."] * ups
    if outside or ups >= len(name.split("/")):
        raise _failure(f"its entry {name!r} is a link to {target!r}, which may leave the folder")
    return "/".join(parts) or "."


def _names_in(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _copy(tar: TarFile, entry: TarInfo, path: str) -> None:
    source = tar.extractfile(entry)
    assert source is not None, "a regular file has content"
    mode = 0o755 if entry.mode & 0o100 else 0o644
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with source, open(target, "wb") as file:
        while True:
            data = source.read(COPY_BYTES)
            if not data:
                return
            file.write(data)


def _failure(what: str) -> Failure:
    return Failure("load-failed", f"the bundle can't be used: {what}", "BundleError")
