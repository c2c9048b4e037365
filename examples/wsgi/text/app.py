"""A WSGI application as PEP 3333 has it: what Flask, Django, Bottle and their kin are underneath."""

import json
import logging
from codecs import getincrementaldecoder
from html import escape
from urllib.parse import parse_qs

log = logging.getLogger(__name__)

PIECE = 64 * 1024
LONGEST_COUNT = 1000


class Refusal(Exception):
    def __init__(self, status, message, headers=()):
        super().__init__(message)
        self.status = status
        self.headers = list(headers)


def app(environ, start_response):
    try:
        method, answer = ROUTES[environ["PATH_INFO"] or "/"]
        if environ["REQUEST_METHOD"] not in (method, "HEAD" if method == "GET" else method):
            raise Refusal("405 Method Not Allowed", f"this takes {method}", [("Allow", method)])
        type, body = answer(environ)
        status, headers = "200 OK", []
    except KeyError:
        status, headers, type, body = "404 Not Found", [], JSON, [_json({"error": f"nothing is at {environ['PATH_INFO']}"})]
    except Refusal as refusal:
        status, headers, type, body = refusal.status, refusal.headers, JSON, [_json({"error": str(refusal)})]
    log.info("%s %s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"], status)
    start_response(status, [("Content-Type", type), *headers])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else body


JSON = "application/json"


def page(environ):
    caller = escape(environ.get("HTTP_USER_AGENT", "whoever you are"))
    text = f"<!doctype html><meta charset=utf-8><title>wsgi</title><h1>It runs</h1><p>Hello, {caller}.</p>"
    return "text/html; charset=utf-8", [text.encode()]


def statistics(environ):
    """Of the text in the body, read piece by piece: it may be larger than the memory."""
    decoder = getincrementaldecoder("utf-8")()
    lines = words = characters = 0
    in_word = False
    body = environ["wsgi.input"]
    try:
        while True:
            piece = body.read(PIECE)
            text = decoder.decode(piece, final=not piece)
            lines += text.count("\n")
            characters += len(text)
            for character in text:
                words += not character.isspace() and not in_word
                in_word = not character.isspace()
            if not piece:
                break
    except UnicodeDecodeError:
        raise Refusal("415 Unsupported Media Type", "the body is not text in UTF-8") from None
    return JSON, [_json({"lines": lines, "words": words, "characters": characters})]


def countdown(environ):
    """An iterable is sent as it yields."""
    given = parse_qs(environ["QUERY_STRING"]).get("from", ["10"])[0]
    if not given.isascii() or not given.isdigit() or int(given) > LONGEST_COUNT:
        raise Refusal("400 Bad Request", f"from must be a whole number up to {LONGEST_COUNT}")
    return "text/plain; charset=utf-8", (f"{number}\n".encode() for number in range(int(given), -1, -1))


def _json(value):
    return json.dumps(value).encode()


ROUTES = {"/": ("GET", page), "/statistics": ("POST", statistics), "/countdown": ("GET", countdown)}
