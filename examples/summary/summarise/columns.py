"""What is told about a column, gathered cell by cell: `add(cell)` or `add_null()` for each, then `summary()`."""

import math
from array import array
from collections import Counter

from kinds import as_text, type_of_column

TOP = 5


def create_column(kinds):
    """An empty column of the type these kinds of cells make (a set of names from `kinds`)."""
    type = type_of_column(kinds)
    if type in ("integer", "number"):
        return NumberColumn(type)
    return TextColumn(type)


class NumberColumn:
    """Holds eight bytes for each number: the median needs them all."""

    def __init__(self, type):
        self._type = type
        self._nulls = 0
        self._values = array("d")

    def add_null(self):
        self._nulls += 1

    def add(self, cell):
        self._values.append(float(cell))

    def summary(self):
        values = sorted(self._values)
        exact = int if self._type == "integer" else float
        mean = _mean(values)
        return {
            "type": self._type,
            "count": len(values),
            "nulls": self._nulls,
            "min": exact(values[0]),
            "max": exact(values[-1]),
            "mean": mean,
            "median": _median(values),
            "stdev": _stdev(values, mean),
        }


class TextColumn:
    """Texts, booleans, dates and columns with nothing in them. Holds each distinct value once."""

    def __init__(self, type):
        self._type = type
        self._nulls = 0
        self._values = Counter()

    def add_null(self):
        self._nulls += 1

    def add(self, cell):
        text = as_text(cell)
        self._values[text.lower() if self._type == "boolean" else text] += 1

    def summary(self):
        summary = {"type": self._type, "count": self._values.total(), "nulls": self._nulls}
        if self._type == "empty":
            return summary
        top = [{"value": value, "count": count} for value, count in self._values.most_common(TOP)]
        return {**summary, "min": min(self._values), "max": max(self._values), "distinct": len(self._values), "top": top}


def _mean(values):
    try:
        return math.fsum(values) / len(values)
    except OverflowError:  # The sum is beyond a double, though each value is within.
        return None


def _median(values):
    middle = len(values) // 2
    # Halved before they are added: the sum of two large values is beyond a double.
    return values[middle] if len(values) % 2 else values[middle - 1] / 2 + values[middle] / 2


def _stdev(values, mean):
    """Of a sample (n - 1), so there is none for a single value."""
    if len(values) < 2 or mean is None:
        return None
    try:
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    except OverflowError:
        return None
