"""
A framework of one file, in the manner of FastAPI: routes by decorator, arguments by type hint from path, query and JSON body, and
OpenAPI made of them. An ASGI 3.0 application with no dependencies; README.md shows how to take FastAPI itself.
"""

import inspect
import json
import logging
import re
from urllib.parse import parse_qsl

from openapi import PAGE, describe
from types_of import Mismatch, read_json, read_text

log = logging.getLogger(__name__)


class HTTPError(Exception):
    def __init__(self, status, detail, headers=()):
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = list(headers)


class Route:
    def __init__(self, method, path, status, handler):
        self.method = method
        self.path = path
        self.status = status
        self.handler = handler
        self.names = re.findall(r"{(\w+)}", path)
        self.pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))
        self.parameters = inspect.signature(handler).parameters


class App:
    def __init__(self, title, version):
        self.title = title
        self.version = version
        self.routes = []

    def get(self, path, status=200):
        return self._adding("GET", path, status)

    def post(self, path, status=200):
        return self._adding("POST", path, status)

    def _adding(self, method, path, status):
        def add(handler):
            self.routes.append(Route(method, path, status, handler))
            return handler

        return add

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await _lifespan(receive, send)
        try:
            status, headers, body = await self._answer(scope, receive)
        except HTTPError as error:
            status, headers, body = error.status, [*error.headers, JSON], _json({"detail": error.detail})
        head = [(name.encode(), value.encode()) for name, value in headers]
        head.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope, receive):
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if method == "GET" and path == "/openapi.json":
            return 200, [JSON], _json(describe(self))
        if method == "GET" and path == "/docs":
            return 200, [("content-type", "text/html; charset=utf-8")], PAGE.render(describe(self))
        route, found = self._find(method, path)
        arguments = await _arguments(route, found.groupdict(), scope, receive)
        return route.status, [JSON], _json(await route.handler(**arguments))

    def _find(self, method, path):
        matches = [(route, route.pattern.fullmatch(path)) for route in self.routes]
        matches = [(route, found) for route, found in matches if found]
        if not matches:
            raise HTTPError(404, f"nothing is at {path}; /docs shows what there is")
        for route, found in matches:
            if route.method == method:
                return route, found
        allow = ", ".join(sorted({route.method for route, _ in matches}))
        raise HTTPError(405, f"{path} takes {allow}", [("allow", allow)])


JSON = ("content-type", "application/json")


async def _arguments(route, in_path, scope, receive):
    """What the handler's parameters say, or 422 with every one that does not fit."""
    in_query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
    arguments, problems = {}, []
    for name, parameter in route.parameters.items():
        place = "body" if name == "body" else "path" if name in route.names else "query"
        try:
            if place == "body":
                arguments[name] = read_json(parameter.annotation, await _read_body(receive), [place])
            elif name in in_path or name in in_query:
                given = in_path[name] if place == "path" else in_query[name]
                arguments[name] = read_text(parameter.annotation, given, [place, name])
            elif parameter.default is parameter.empty:
                raise Mismatch([([place, name], "is missing")])
        except Mismatch as mismatch:
            problems += mismatch.problems
    if problems:
        raise HTTPError(422, [{"loc": loc, "msg": message} for loc, message in problems])
    return arguments


async def _read_body(receive):
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the caller has left")
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        return json.loads(body)
    except ValueError as error:
        raise Mismatch([(["body"], f"is not JSON: {error}")]) from None


async def _lifespan(receive, send):
    """Where connections to databases are opened and closed."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            log.info("starting")
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            return await send({"type": "lifespan.shutdown.complete"})


def _json(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
