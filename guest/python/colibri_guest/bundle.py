"""
A bundle that is delivered as bytes: a plain tar, checked against its digest and unpacked into a folder.

The bytes are the platform's, yet what is in them was a user's: regular files and folders only, and no path leaves the folder.
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
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                _unpack_entry(tar, entry, folder)
    except tarfile.TarError as error:
        raise _failure(f"it is not a tar archive: {error}") from None
    except OSError as error:
        raise _failure(f"it can't be unpacked: {error}") from None


def _unpack_entry(tar: TarFile, entry: TarInfo, folder: str) -> None:
    parts = [part for part in entry.name.split("/") if part not in ("", ".")]
    if entry.name.startswith("/") or ".." in parts or "\0" in entry.name:
        raise _failure(f"its entry {entry.name!r} leaves the folder")
    path = os.path.join(folder, *parts)
    if entry.isdir():
        os.makedirs(path, exist_ok=True)
    elif entry.isreg() and parts:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _copy(tar, entry, path)
    else:
        raise _failure(f"its entry {entry.name!r} is neither a file nor a folder")


def _copy(tar: TarFile, entry: TarInfo, path: str) -> None:
    source = tar.extractfile(entry)
    assert source is not None, "a regular file has content"
    mode = 0o755 if entry.mode & 0o100 else 0o644
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with source, open(target, "wb") as file:
        while True:
            data = source.read(COPY_BYTES)
            if not data:
                return
            file.write(data)


def _failure(what: str) -> Failure:
    return Failure("load-failed", f"the bundle can't be used: {what}", "BundleError")
