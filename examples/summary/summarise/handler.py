"""Summarises a table: CSV text or a JSON array of objects in, a description of each column out."""

from columns import create_column
from table import read_table


def handler(input, context):
    table = read_table(input)
    # Twice over the rows: first for the types, so that then a column holds numbers or distinct texts, not cells.
    row_count, columns = create_columns(table)
    for row in table.rows():
        for column, cell in zip(columns, row):
            if table.is_null(cell):
                column.add_null()
            else:
                column.add(cell)
    source = {"format": table.format} if table.delimiter is None else {"format": table.format, "delimiter": table.delimiter}
    return {**source, "rows": row_count, "columns": {name: column.summary() for name, column in zip(table.names, columns)}}


def create_columns(table):
    row_count = 0
    kinds = [set() for _ in table.names]
    for row in table.rows():
        row_count += 1
        for seen, cell in zip(kinds, row):
            seen.add(table.kind(cell))
    return row_count, [create_column(seen) for seen in kinds]
