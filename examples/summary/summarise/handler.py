"""Summarises a table: CSV text or a JSON array of objects in, a description of each column out."""

from columns import summarise_column
from table import read_table


def handler(input, context):
    table = read_table(input)
    summary = {"format": table.format, "rows": 0, "columns": {}}
    if table.delimiter is not None:
        summary["delimiter"] = table.delimiter
    # Twice over the rows: first for the types, so that then each column holds its numbers or its distinct texts, no cells.
    kinds = [set() for _ in table.names]
    for row in table.rows():
        summary["rows"] += 1
        for seen, cell in zip(kinds, row):
            seen.add(table.kind(cell))
    columns = [summarise_column(seen) for seen in kinds]
    for row in table.rows():
        for column, cell in zip(columns, row):
            column.add(cell, table.kind(cell))
    summary["columns"] = {name: column.summary() for name, column in zip(table.names, columns)}
    return summary
