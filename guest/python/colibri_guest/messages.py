"""
What the platform says in the heads of frames, checked where it enters (the shapes of contract/guest/link.ts), and the JSON of
what the guest says. Unknown fields are let through, so that a newer platform can be understood.
"""

from __future__ import annotations

import json
import re

from .frames import Violation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Tuple

    Fields = Dict[str, Tuple[str, Callable[[Any], bool]]]


def own_encode(encoder: json.JSONEncoder) -> Callable[[Any], str]:
    """Its `encode`, whatever user code puts in the place of the class's methods later."""
    encoder.iterencode = encoder.iterencode  # type: ignore[method-assign]
    return encoder.encode


def own_decode(decoder: json.JSONDecoder) -> Callable[[str], Any]:
    """Its `decode`, likewise."""
    decoder.raw_decode = decoder.raw_decode  # type: ignore[method-assign]
    return decoder.decode


_encode = own_encode(json.JSONEncoder(separators=(",", ":")))
_decode = own_decode(json.JSONDecoder())

MAXIMUM_SAFE_INTEGER = (1 << 53) - 1


def encode_head(value: dict[str, Any]) -> bytes:
    """ASCII JSON, so that a lone surrogate in a user's text can't make a head that does not decode."""
    return _encode(value).encode("ascii")


def decode_head(head: bytes, message: str, fields: Fields) -> dict[str, Any]:
    """Raises Violation naming the place and what was expected."""
    try:
        value = _decode(head.decode())
    except (ValueError, RecursionError):
        raise Violation(f"{message}: its head is not JSON: {_preview(head)}") from None
    if type(value) is not dict:
        raise Violation(f"{message}: expected an object, got {_preview(value)}")
    get = value.get
    for key, (expected, accepts) in fields.items():
        if not accepts(get(key)):
            raise Violation(f"{message}.{key}: expected {expected}, got {_preview(get(key))}")
    return value


def cut(text: str, maximum: int) -> str:
    """At most `maximum` UTF-16 units of a text, which is how the platform counts. Says nothing: who cuts says so."""
    if len(text) * 2 <= maximum:
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) <= maximum * 2:
        return text
    return units[: maximum * 2].decode("utf-16-le", "ignore")


def _preview(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _integer(minimum: int, maximum: int = MAXIMUM_SAFE_INTEGER):
    return f"an integer from {minimum} to {maximum}", lambda value: type(value) is int and minimum <= value <= maximum


def _text(maximum: int):
    return f"a string of at most {maximum} characters", lambda value: type(value) is str and len(value) <= maximum


def _is_thrown(value: Any) -> bool:
    return type(value) is dict and type(value.get("name")) is str and type(value.get("message")) is str


def _is_entry(value: Any) -> bool:
    return (
        type(value) is dict
        and type(value.get("atMs")) in (int, float)
        and value.get("stream") in ("stdout", "stderr")
        and value.get("level") in ("debug", "info", "warn", "error")
        and type(value.get("text")) is str
        and type(value.get("invocation")) in (str, type(None))
    )


def _optional(field):
    expected, accepts = field
    return f"nothing or {expected}", lambda value: value is None or accepts(value)


def _one_of(*values: str):
    return f"one of {', '.join(values)}", lambda value: value in values


def _is_number(value: object) -> bool:
    return (type(value) is int or type(value) is float) and 0 <= value < float("inf")  # type: ignore[operator]


def _is_map(value: object) -> bool:
    return type(value) is dict and all(type(item) is str for item in value.values())


def _is_init(value: object) -> bool:
    return type(value) is dict and type(value.get("timeoutMs")) is int and value["timeoutMs"] >= 1


def _is_code(value: object) -> bool:
    if type(value) is not dict:
        return False
    if value.get("kind") == "mount":
        return type(value.get("path")) is str
    return (
        value.get("kind") == "bytes"
        and type(value.get("bytes")) is int
        and value["bytes"] >= 0
        and type(value.get("digest")) is str
    )


def _is_request(value: object) -> bool:
    if value is None:
        return True
    if type(value) is not dict:
        return False
    get = value.get
    headers = get("headers")
    return (
        type(get("method")) is str
        and type(get("path")) is str
        and type(get("query")) is str
        and type(headers) is list
        and len(headers) % 2 == 0
        and all([type(item) is str for item in headers])
        and (get("params") is None or _is_map(get("params")))
    )


def _matching(expected: str, pattern: str):
    matches = re.compile(pattern).fullmatch
    return expected, lambda value: type(value) is str and matches(value) is not None


_name = _matching("a name", "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_revision = _matching("a revision such as r1", "r[1-9][0-9]{0,8}")
_number = ("a number not below 0", _is_number)
_REVISION: Fields = {"tenant": _name, "app": _name, "function": _name, "revision": _revision}

LOAD: Fields = {
    **_REVISION,
    "code": ("a mount with its path, or bytes with their length and digest", _is_code),
    "handler": _text(512),
    "environment": ("a map of strings", _is_map),
    "concurrency": _integer(1, 10_000),
    "execution": _one_of("loop", "threads", "process"),
    "memoryMiB": _integer(1),
    "timeoutMs": _integer(1),
    "init": _optional(("an object with timeoutMs", _is_init)),
}
INIT: Fields = {"timeoutMs": _integer(1)}
PING: Fields = {"sequence": _integer(0)}
DRAIN: Fields = {"graceMs": _integer(0)}
DATA_HELLO: Fields = {"owner": _text(128), "epoch": _integer(0)}
INVOKE: Fields = {
    "id": _matching("an id", "[0-9A-HJKMNP-TV-Z]{26}"),
    **_REVISION,
    "budgetMs": _number,
    "trace": _optional(_text(256)),
    "request": ("a request with method, path, query and flat headers", _is_request),
    "contentType": _optional(_text(1_024)),
}
FAILED: Fields = {
    "code": _one_of("load-failed", "init-failed"),
    "error": ("an error with name and message", lambda value: _is_thrown(value)),
}
LOG: Fields = {
    "entries": ("a list of log entries", lambda value: type(value) is list and all(map(_is_entry, value))),
    "dropped": _optional(_integer(0)),
}
WINDOW: Fields = {"credit": _integer(1, 1 << 30)}
CANCEL: Fields = {"reason": _one_of("client", "deadline", "shutdown")}
