"""The Python function of the start bench."""


def handler(_input, _context):
    return {"hello": "world"}
