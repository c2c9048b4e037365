"""Turns CSV into NDJSON, a line for each row, sent as it is made."""

import asyncio
import csv
import json

DELIMITERS = ",;\t|"
ROWS_PER_TURN = 100


async def handler(input, context):
    # Before the first line is sent an error can still be the answer; afterwards it can only cut the answer off.
    text = _read_text(input)
    delimiter = max(DELIMITERS, key=text.split("\n", 1)[0].count)
    rows = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    names = [name.strip() for name in next(rows, [])]
    if not all(names) or len(set(names)) < len(names) or not names:
        raise ValueError("The first line has to give every column a name of its own.")
    return _ndjson(names, rows)


async def _ndjson(names, rows):
    sent = 0
    for row in rows:
        if not row:
            continue
        if len(row) != len(names):
            raise ValueError(f"Line {rows.line_num} has {len(row)} columns and the header has {len(names)}.")
        yield json.dumps(dict(zip(names, (cell or None for cell in row))), ensure_ascii=False) + "\n"
        sent += 1
        if sent % ROWS_PER_TURN == 0:
            await asyncio.sleep(0)  # lets other invocations run, and a cancellation arrive


def _read_text(input):
    if isinstance(input, (bytes, bytearray)):
        input = bytes(input).decode("utf-8")
    if not isinstance(input, str):
        raise ValueError("There is no CSV: send it as the body, with Content-Type: text/csv.")
    return input.removeprefix("\ufeff")


def _lines(text):
    start = 0
    while (end := text.find("\n", start)) != -1:
        yield text[start : end + 1]
        start = end + 1
    if start < len(text):
        yield text[start:]
