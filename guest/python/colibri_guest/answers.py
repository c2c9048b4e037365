"""
A handler's answer as what is sent: status, headers and a body that is whole or streamed.

None → 204; str → text/plain; bytes → octet-stream; dict, list, tuple, int, float, bool → JSON; a generator, iterator, file or
async iterator → streamed; `colibri.Response` → itself. Anything else is answer-invalid. JSON has no NaN and no infinity, so
they are answer-invalid too, rather than an answer that other languages can't read.
"""

from __future__ import annotations

import io
import json

from .messages import own_encode
from .thrown import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Optional

    from .frames import Bytes

JSON = ("content-type", "application/json")
TEXT = ("content-type", "text/plain; charset=utf-8")
BYTES = ("content-type", "application/octet-stream")
FILE_CHUNK = 64 * 1024
TOKEN_SYMBOLS = "!#$%&'*+-.^_`|~"


class Response:
    """
    An answer with its own status and headers, importable as `from colibri import Response`.

    `body` is anything that may be answered by itself; `headers` is a mapping or a list of (name, value) pairs, and a
    content-type among them stands instead of the body's own.
    """

    def __init__(self, body: Any = None, status: int = 200, headers: Any = None) -> None:
        self.body = body
        self.status = status
        self.headers = {} if headers is None else headers

    def __repr__(self) -> str:
        return f"Response(status={self.status!r}, headers={self.headers!r})"


class Answer:
    """What is sent. One of `body` and `source` is set; a source's type is known with its first chunk."""

    __slots__ = ("status", "headers", "body", "source")

    def __init__(self, status: int, headers: tuple[str, ...], body: Bytes, source: Any = None) -> None:
        self.status = status
        self.headers = headers
        """Flat: name, value, name, value."""
        self.body = body
        self.source = source
        """An iterator or async iterator of str and bytes."""

    def streamed_headers(self, first: Any) -> tuple[str, ...]:
        """Headers of a streamed answer whose first chunk this is."""
        if _has_content_type(self.headers):
            return self.headers
        return self.headers + (TEXT if isinstance(first, str) else BYTES)


def to_answer(value: Any) -> Answer:
    """Raises Failure (answer-invalid) naming the type and its place."""
    kind = type(value)
    if kind is dict or kind is list:
        return Answer(200, JSON, encode_json(value))
    if value is None:
        return Answer(204, (), b"")
    if kind is str:
        return Answer(200, TEXT, _encode_text(value))
    if kind is bytes:
        return Answer(200, BYTES, value)
    if isinstance(value, Response):
        return _from_response(value)
    return _from_other(value)


def to_chunk(value: Any, index: int) -> Bytes:
    """A chunk of a streamed answer as bytes. Raises Failure (answer-invalid)."""
    if isinstance(value, str):
        return _encode_text(value)
    if isinstance(value, (bytes, bytearray)):
        return value
    if isinstance(value, memoryview):
        return value.cast("B") if value.contiguous else value.tobytes()
    message = f"chunk {index} of the streamed answer is {_a(value)}; yield str or bytes"
    raise Failure("answer-invalid", message, "TypeError")


def encode_json(value: Any) -> bytes:
    """Raises Failure (answer-invalid) naming the place of what JSON can't say."""
    try:
        text = _encode_json(value)
    except RecursionError:
        raise Failure("answer-invalid", "the answer is nested too deeply for JSON", "RecursionError") from None
    except (TypeError, ValueError) as error:
        raise Failure("answer-invalid", _find_problem(value, "answer", ()) or str(error), type(error).__name__) from None
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: JSON can say it, UTF-8 can't.
        return _encode_ascii_json(value).encode()


def _from_response(response: Response) -> Answer:
    inner = response.body
    if isinstance(inner, Response):
        raise Failure("answer-invalid", "the body of a Response is another Response", "TypeError")
    answer = to_answer(inner)
    if inner is None and response.status == 200:
        answer.body = b""
    answer.status = _check_status(response.status)
    given = _check_headers(response.headers)
    answer.headers = given if _has_content_type(given) else given + answer.headers
    return answer


def _from_other(value: Any) -> Answer:
    if isinstance(value, (dict, list, tuple, bool, int, float)):
        return Answer(200, JSON, encode_json(value))
    if isinstance(value, str):
        return Answer(200, TEXT, _encode_text(value))
    if isinstance(value, (bytearray, memoryview)):
        return Answer(200, BYTES, to_chunk(value, 0))
    if isinstance(value, io.IOBase):
        return Answer(200, (), b"", _read_file(value))
    if hasattr(value, "__anext__") or hasattr(value, "__next__"):
        return Answer(200, (), b"", value)
    if hasattr(value, "__aiter__"):
        return Answer(200, (), b"", value.__aiter__())
    message = (
        f"the answer is {_a(value)}, which can't be sent; "
        "return None, str, bytes, dict, list, a number, a generator or a colibri.Response"
    )
    raise Failure("answer-invalid", message, "TypeError")


def _read_file(file: Any) -> Iterator[Any]:
    with file:
        while True:
            chunk = file.read(FILE_CHUNK)
            if not chunk:
                return
            yield chunk


def _encode_text(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        message = f"the text of the answer has half a surrogate pair at character {error.start}, which UTF-8 can't say"
        raise Failure("answer-invalid", message, "UnicodeEncodeError") from None


# As contract/guest/link.ts has it, with room for the quotes around each.
MAXIMUM_HEADERS = 1_000
MAXIMUM_HEADER_CHARACTERS = 56 * 1024


def _check_status(status: Any) -> int:
    if isinstance(status, int) and not isinstance(status, bool) and 200 <= status <= 599:
        return int(status)
    raise Failure("answer-invalid", f"the Response's status is {status!r}; use a number from 200 to 599", "ValueError")


def _check_headers(headers: Any) -> tuple[str, ...]:
    pairs = headers.items() if hasattr(headers, "items") else headers
    flat: list[str] = []
    try:
        for name, value in pairs:
            flat += check_header(name, value)
    except (TypeError, ValueError):
        message = f"the Response's headers are {_a(headers)}; use a dict or a list of (name, value)"
        raise Failure("answer-invalid", message, "TypeError") from None
    return bounded(flat)


def bounded(flat: list[str]) -> tuple[str, ...]:
    """Headers as name, value, name, value, unless there is more of them than an answer may have."""
    size = sum(map(len, flat))
    if len(flat) // 2 > MAXIMUM_HEADERS or size > MAXIMUM_HEADER_CHARACTERS:
        message = f"the Response has {len(flat) // 2} headers with {size} characters; "
        message += f"{MAXIMUM_HEADERS} with {MAXIMUM_HEADER_CHARACTERS} are allowed"
        raise Failure("answer-invalid", message, "ValueError")
    return tuple(flat)


def check_header(name: Any, value: Any) -> tuple[str, str]:
    value = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not isinstance(name, str) or not name or not all(_is_token(character) for character in name):
        raise Failure("answer-invalid", f"the Response has a header named {name!r}, which HTTP does not allow", "ValueError")
    if not isinstance(value, str) or not all(_is_field(character) for character in value):
        message = f"the Response's header {name} is {value!r}; use a string without line breaks, in Latin-1"
        raise Failure("answer-invalid", message, "ValueError")
    return name, value


def _is_token(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character in TOKEN_SYMBOLS)


def _is_field(character: str) -> bool:
    return character == "\t" or (" " <= character <= "\xff" and character != "\x7f")


def _has_content_type(headers: tuple[str, ...]) -> bool:
    return any(name.lower() == "content-type" for name in headers[::2])


def _find_problem(value: Any, place: str, above: tuple[int, ...]) -> Optional[str]:
    """What JSON can't say, and where: walked only after encoding failed."""
    if value is None or isinstance(value, (str, bool, int)):
        return None
    if isinstance(value, float):
        return None if value - value == 0 else f"{place} is {value!r}, which JSON does not have; use None or a string"
    if not isinstance(value, (dict, list, tuple)):
        return f"{place} is {_a(value)}, which JSON does not have; {_remedy(value)}"
    if id(value) in above:
        return f"{place} is {_a(value)} that contains itself; JSON can't say a circle"
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and not (key is None or isinstance(key, (str, int, float))):
            return f"{place} has a key that is {_a(key)}; use strings as keys"
        problem = _find_problem(item, f"{place}[{key!r}]", (*above, id(value)))
        if problem is not None:
            return problem
    return None


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _remedy(value: Any) -> str:
    if isinstance(value, (set, frozenset)):
        return "use a list"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "use text, for example base64"
    return "use a dict, list, string, number, bool or None"


_encode_json = own_encode(json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")))
_encode_ascii_json = own_encode(json.JSONEncoder(allow_nan=False, separators=(",", ":")))
