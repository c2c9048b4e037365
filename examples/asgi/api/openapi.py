"""OpenAPI 3.1 of an app's routes, and a page that shows it."""

import inspect
from dataclasses import MISSING, fields, is_dataclass
from html import escape
from typing import get_args, get_origin, get_type_hints

from types_of import without_none

NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def describe(app):
    paths = {}
    for route in app.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {"openapi": "3.1.0", "info": {"title": app.title, "version": app.version}, "paths": paths}


def _operation(route):
    operation = {
        "operationId": route.handler.__name__,
        "summary": inspect.getdoc(route.handler) or "",
        "parameters": [_parameter(route, one) for name, one in route.parameters.items() if name != "body"],
        "responses": {str(route.status): {"description": "As asked for"}, "422": {"description": "What does not fit"}},
    }
    if "body" in route.parameters:
        schema = schema_of(route.parameters["body"].annotation)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _parameter(route, parameter):
    schema = schema_of(parameter.annotation)
    required = parameter.default is parameter.empty
    if not required:
        schema["default"] = parameter.default
    place = "path" if parameter.name in route.names else "query"
    return {"name": parameter.name, "in": place, "required": required, "schema": schema}


def schema_of(hint):
    hint = without_none(hint)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        required = [field.name for field in fields(hint) if field.default is MISSING]
        properties = {name: schema_of(one) for name, one in hints.items()}
        return {"type": "object", "title": hint.__name__, "properties": properties, "required": required}
    if get_origin(hint) is list:
        return {"type": "array", "items": schema_of(get_args(hint)[0])}
    return {"type": NAMES[hint]}


class Page:
    """Documentation in plain HTML: it needs nothing from elsewhere."""

    def render(self, document):
        info = document["info"]
        operations = "".join(
            self._operation(method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        )
        title = f"{escape(info['title'])} {escape(info['version'])}"
        return f"<!doctype html><meta charset=utf-8><title>{title}</title>{STYLE}<h1>{title}</h1>{operations}".encode()

    def _operation(self, method, path, operation):
        rows = "".join(self._row(one["in"], one["name"], one["schema"], one["required"]) for one in operation["parameters"])
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            required = schema.get("required", [])
            for name, one in schema.get("properties", {}).items():
                rows += self._row("body", name, one, name in required)
        head = f"<h2><b>{method.upper()}</b> {escape(path)}</h2><p>{escape(operation['summary'])}</p>"
        return f"<section>{head}<table>{rows}</table></section>"

    def _row(self, place, name, schema, required):
        return (
            f"<tr><td>{place}<td><code>{escape(name)}</code><td>{escape(schema['type'])}"
            f"<td>{'required' if required else 'optional'}"
        )


STYLE = (
    "<style>body{font:16px/1.5 system-ui;max-width:48rem;margin:2rem auto;padding:0 1rem}"
    "section{border-top:1px solid #ccc}td{padding-right:2rem}h2 b{color:#06c}</style>"
)

PAGE = Page()
