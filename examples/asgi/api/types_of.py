"""Values of the types that hints name: str, int, float, bool, Optional, List and dataclasses of them."""

import math
from dataclasses import MISSING, fields, is_dataclass
from typing import Union, get_args, get_origin, get_type_hints

WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


class Mismatch(Exception):
    """`problems` are (place, what is wrong)."""

    def __init__(self, problems):
        super().__init__(problems)
        self.problems = problems


def read_text(hint, text, place):
    """Of a path or a query."""
    hint = without_none(hint)
    try:
        if hint is bool:
            return {"true": True, "false": False}[text]
        value = hint(text)
        if hint is float and not math.isfinite(value):
            raise ValueError
        return value
    except (ValueError, KeyError):
        raise Mismatch([(place, f"must be {WORDS[hint]}")]) from None


def read_json(hint, value, place):
    if value is None and without_none(hint) is not hint:
        return None
    hint = without_none(hint)
    if is_dataclass(hint):
        return _read_object(hint, value, place)
    if get_origin(hint) is list:
        return _read_list(get_args(hint)[0], value, place)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise Mismatch([(place, f"must be {WORDS[hint]}")])
    return value


def _read_list(hint, value, place):
    if not isinstance(value, list):
        raise Mismatch([(place, "must be a list")])
    read, problems = _gather({index: (hint, one, [*place, index]) for index, one in enumerate(value)})
    if problems:
        raise Mismatch(problems)
    return list(read.values())


def _read_object(hint, value, place):
    if not isinstance(value, dict):
        raise Mismatch([(place, "must be an object")])
    hints = get_type_hints(hint)
    required = [field.name for field in fields(hint) if field.default is MISSING and field.default_factory is MISSING]
    problems = [([*place, name], "is missing") for name in required if name not in value]
    problems += [([*place, name], "is not known") for name in value if name not in hints]
    known = {name: one for name, one in value.items() if name in hints}
    read, wrong = _gather({name: (hints[name], one, [*place, name]) for name, one in known.items()})
    if problems or wrong:
        raise Mismatch(problems + wrong)
    return hint(**read)


def _gather(given):
    """Each one read, and what is wrong with those that can't be."""
    read, problems = {}, []
    for name, arguments in given.items():
        try:
            read[name] = read_json(*arguments)
        except Mismatch as mismatch:
            problems += mismatch.problems
    return read, problems


def without_none(hint):
    """`Optional[X]` is X."""
    if get_origin(hint) is not Union:
        return hint
    return next(one for one in get_args(hint) if one is not type(None))
