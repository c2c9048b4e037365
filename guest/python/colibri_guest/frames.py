"""
Frames and preambles (contract/link/frame.ts): a header of 14 bytes, a head (JSON) and a body (bytes).

    0  u32  length of head and body together      5  u8   flags            10  u32  length of the head
    4  u8   type                                  6  u32  stream           14  head, then body
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Tuple, Union

    Frame = Tuple[int, int, int, bytes, bytes]
    """type, flags, stream, head, body"""
    Bytes = Union[bytes, bytearray, memoryview]

PREAMBLE_BYTES = 8
PROTOCOL_VERSION = 1
KINDS = {"c": "control", "d": "data"}

HEADER = Struct(">IBBII")
HEADER_BYTES = HEADER.size
MAXIMUM_PAYLOAD = 1 << 20

FIN = 1
"""The sender's half of the stream ends with this frame."""
LAST = 2
"""The invocation is over with this frame, its slot is free."""

HELLO = 0x01
LOAD = 0x02
CODE = 0x03
LOADED = 0x04
INIT = 0x05
READY = 0x06
PING = 0x07
PONG = 0x08
LOG = 0x09
DRAIN = 0x0A
FAILED = 0x0B
INVOKE = 0x10
ACCEPTED = 0x11
HEAD = 0x12
DATA = 0x13
END = 0x14
WINDOW = 0x15
CANCEL = 0x16
MISROUTED = 0x17

INITIAL_WINDOW = 256 * 1024
"""Bytes of body that may be on the way, per stream and direction, before WINDOW gives more."""
MAXIMUM_CHUNK = 64 * 1024


class Violation(Exception):
    """The other side broke the protocol: its connection is closed, others are not harmed."""


def encode(type: int, flags: int, stream: int, head: bytes = b"", body: Bytes = b"") -> bytes:
    """One frame in one piece, so that frames which several threads append never mix."""
    head_bytes = len(head)
    payload = head_bytes + len(body)
    if payload > MAXIMUM_PAYLOAD:
        raise ValueError(f"a frame of {payload} bytes is over {MAXIMUM_PAYLOAD}")
    return b"".join((HEADER.pack(payload, type, flags, stream, head_bytes), head, body))


def decode_preamble(data: bytes) -> tuple[str, int]:
    """The kind of connection and the highest version that its dialer speaks."""
    if data[:4] != b"CLBR":
        raise Violation(f"not a Colibri link: it opens with {data[:8].hex()}")
    kind = KINDS.get(chr(data[4]))
    if kind is None or data[5] == 0:
        raise Violation(f"unknown kind of link or version 0: {data[:8].hex()}")
    return kind, data[5]


def encode_preamble(kind: str, version: int = PROTOCOL_VERSION) -> bytes:
    return b"CLBR" + kind[0].encode() + bytes((version, 0, 0))


class FrameReader:
    """Cuts a byte stream into frames. Holds at most one incomplete frame."""

    __slots__ = ("_pending", "_pending_bytes", "_wanted")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        # Bytes of `pending` needed before it is worth joining.
        self._wanted = HEADER_BYTES

    def push(self, chunk: bytes) -> Iterator[Frame]:
        """Yields every complete frame. Raises Violation on one that breaks the format, after those before it."""
        if self._pending:
            self._pending.append(chunk)
            self._pending_bytes += len(chunk)
            if self._pending_bytes < self._wanted:
                return
            chunk = b"".join(self._pending)
            self._pending = []
        offset = 0
        length = len(chunk)
        self._wanted = HEADER_BYTES
        while length - offset >= HEADER_BYTES:
            payload, type, flags, stream, head_bytes = HEADER.unpack_from(chunk, offset)
            if payload > MAXIMUM_PAYLOAD:
                raise Violation(f"a frame of {payload} bytes is over {MAXIMUM_PAYLOAD}")
            if head_bytes > payload:
                raise Violation(f"a head of {head_bytes} bytes in a frame of {payload}")
            head = offset + HEADER_BYTES
            end = head + payload
            if end > length:
                self._wanted = HEADER_BYTES + payload
                break
            body = head + head_bytes
            yield type, flags, stream, chunk[head:body], chunk[body:end]
            offset = end
        if offset < length:
            self._pending = [chunk[offset:] if offset else chunk]
            self._pending_bytes = length - offset
