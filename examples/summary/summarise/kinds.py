"""What a single cell is: null, integer, number, boolean, date or text; and what a column of such cells is."""

import datetime
import json
import math
import re

# No leading zeros (postcodes and article numbers have them) and no thousands separators.
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NULLS = frozenset(("", "NA", "N/A", "null", "NULL", "NaN"))
_BOOLEANS = frozenset(("true", "false", "True", "False", "TRUE", "FALSE"))
# From 2**53 a double skips integers: such a column is identifiers, and stays text.
_LARGEST_EXACT = 2**53 - 1


def kind_of_text(cell):
    """The kind of a CSV cell, which is always text."""
    if cell in _NULLS:
        return "null"
    number = _NUMBER.fullmatch(cell)
    if number:
        whole = number[1] is None and number[2] is None
        return _kind_of_number(float(cell), whole)
    if cell in _BOOLEANS:
        return "boolean"
    return "date" if _is_date(cell) else "text"


def kind_of_value(value):
    """The kind of a JSON value: its own type; only dates, which JSON lacks, are recognised in strings."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if abs(value) <= _LARGEST_EXACT else "text"
    if isinstance(value, float):
        return _kind_of_number(value, whole=False)
    return "date" if isinstance(value, str) and _is_date(value) else "text"


def is_null_text(cell):
    return cell in _NULLS


def is_null_value(value):
    return value is None


def as_text(cell):
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)


def type_of_column(kinds):
    """The narrowest type that holds every kind seen; kinds that don't go together make text."""
    seen = kinds - {"null"}
    if not seen:
        return "empty"
    if seen == {"integer", "number"}:
        return "number"
    return next(iter(seen)) if len(seen) == 1 else "text"


def _kind_of_number(value, whole):
    if not math.isfinite(value) or (whole and abs(value) > _LARGEST_EXACT):
        return "text"
    return "integer" if whole else "number"


def _is_date(text):
    if not _DATE.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
