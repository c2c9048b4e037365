"""Reads the two kinds of table there are, CSV text and JSON arrays of objects, as names and rows."""

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kinds import is_null_text, is_null_value, kind_of_text, kind_of_value

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 50


class MalformedInput(ValueError):
    """The table can't be read; the message says where and what would be right."""


@dataclass(frozen=True)
class Table:
    format: str
    delimiter: str | None
    names: list[str]
    rows: Callable[[], Iterator[Sequence]]  # from the first row, each time it is called
    kind: Callable[[object], str]
    is_null: Callable[[object], bool]


def read_table(input):
    """`input` as the platform decodes it: text/* is str, application/json what it says, all else bytes."""
    if input is None:
        raise MalformedInput("There is no table: send CSV or JSON as the body.")
    if isinstance(input, (bytes, bytearray, memoryview)):
        input = _decode(bytes(input))
    return _read_csv(input) if isinstance(input, str) else _read_objects(input)


def _decode(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedInput(
            f"Line {line} is not UTF-8 (byte {data[error.start]:#04x} at offset {error.start}): save the file as UTF-8."
        ) from None


def _read_csv(text):
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise MalformedInput("The table is empty: the first line has to name the columns.")
    if text.lstrip().startswith(("[{", "{")):
        raise MalformedInput("This looks like JSON sent as text: send it with Content-Type: application/json.")
    delimiter = _detect_delimiter(text)
    names = next(_records(text, delimiter))[1]
    _check_names(names)

    def rows():
        for line, row in itertools.islice(_records(text, delimiter), 1, None):
            if len(row) != len(names):
                raise MalformedInput(f"Line {line} has {len(row)} columns and the header has {len(names)}.")
            yield row

    return Table("csv", delimiter, names, rows, kind_of_text, is_null_text)


def _records(text, delimiter):
    """Yields the number of its last line and its cells, for each record that isn't blank."""
    reader = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise MalformedInput(f"Line {reader.line_num} is not CSV: {error}.") from None


def _lines(text):
    """As io.StringIO would, without its copy of the text at four bytes a character."""
    start = 0
    while (end := text.find("\n", start)) != -1:
        yield text[start : end + 1]
        start = end + 1
    if start < len(text):
        yield text[start:]


def _detect_delimiter(text):
    """The one that cuts the first rows into equally many columns, and into most; a single column has none to find."""
    best, best_score = DELIMITERS[0], (0, 0)
    for delimiter in DELIMITERS:
        widths = _sample_widths(text, delimiter)
        if widths and widths[0] > 1:
            score = (widths.count(widths[0]) / len(widths), widths[0])
            best, best_score = (delimiter, score) if score > best_score else (best, best_score)
    return best


def _sample_widths(text, delimiter):
    widths = []
    try:
        for _, row in itertools.islice(_records(text, delimiter), SAMPLE_ROWS):
            widths.append(len(row))
    except MalformedInput:
        pass  # With this delimiter; what was read so far still counts, and the real reading will say what is wrong.
    return widths


def _check_names(names):
    for position, name in enumerate(names, start=1):
        if not name:
            raise MalformedInput(f"Column {position} has no name: the first line has to name every column.")
        if name in names[: position - 1]:
            raise MalformedInput(f'Two columns are called "{name}": give each its own name.')


def _read_objects(value):
    if not isinstance(value, list):
        raise MalformedInput(f"The JSON is {_name_of(value)}: send an array of objects, one for each row.")
    names = {}
    for position, item in enumerate(value):
        if not isinstance(item, dict):
            raise MalformedInput(f"Element {position} of the array is {_name_of(item)}: each has to be an object.")
        names.update(dict.fromkeys(item))
    if not names:
        raise MalformedInput("The array holds no columns: send at least one object with at least one field.")
    ordered = list(names)

    def rows():
        for item in value:
            yield [item.get(name) for name in ordered]

    return Table("json", None, ordered, rows, kind_of_value, is_null_value)


def _name_of(value):
    if value is None:
        return "null"
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return names.get(type(value), "a number")
