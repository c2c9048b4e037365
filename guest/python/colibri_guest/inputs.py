"""The handler's input: the body of an invocation, decoded by its content type."""

from __future__ import annotations

import json
from json import JSONDecodeError

from .messages import own_decode
from .thrown import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Optional


def decode_input(content_type: Optional[str], body: bytes) -> Any:
    """
    `application/json` and `+json` → decoded, `text/*` → str, anything else → bytes, an empty body → None.
    Raises Failure (bad-input) naming what is wrong and where.
    """
    if not body:
        return None
    if content_type is None:
        return body
    if content_type == "application/json":
        return _decode_json(body, "utf-8", content_type)
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    if media_type == "application/json" or media_type.endswith("+json"):
        return _decode_json(body, _charset(parameters) or "utf-8", media_type)
    if media_type.startswith("text/"):
        return _decode_text(body, _charset(parameters) or "utf-8", media_type)
    return body


def _decode_json(body: bytes, charset: str, media_type: str) -> Any:
    text = _decode_text(body, charset, media_type).removeprefix("\ufeff")
    try:
        return _parse_json(text)
    except JSONDecodeError as error:
        what = f"the body is not valid {media_type}: {error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        what = f"the body is not acceptable as {media_type}: it is nested too deeply"
    except ValueError as error:
        what = f"the body is not acceptable as {media_type}: {error}"
    raise Failure("bad-input", what, "SyntaxError")


def _decode_text(body: bytes, charset: str, media_type: str) -> str:
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        message = f"the body is not {media_type} in {charset}: byte {error.start} (0x{body[error.start]:02x}): {error.reason}"
        raise Failure("bad-input", message, "UnicodeDecodeError") from None
    except (LookupError, ValueError):
        message = f"the content type {media_type} names the charset {charset!r}, which is not known; use utf-8"
        raise Failure("bad-input", message, "LookupError") from None


def _charset(parameters: str) -> Optional[str]:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() or None
    return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not part of JSON")


_parse_json = own_decode(json.JSONDecoder(parse_constant=_refuse_constant))
