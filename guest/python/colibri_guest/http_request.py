"""An invocation as the HTTP request that ASGI and WSGI applications are given. Where there was none, one is made: POST /."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from .context import Context

DEFAULT_TENANT = "default"
PORTS = {"http": 80, "https": 443}


class HttpRequest:
    def __init__(self, context: Context, content_type: Optional[str]) -> None:
        request = context.request
        self.method = "POST" if request is None else request.method.upper()
        self.path = "/" if request is None else request.path
        """As it was sent, with its percent signs, below the function's own URL."""
        self.root = _own_url(context) if request is not None and request.has_own_url else ""
        """What callers write before that."""
        self.query = "" if request is None else request.query_string
        if request is None:
            self.headers = [("content-type", content_type)] if content_type else []
        else:
            flat = request.flat_headers
            self.headers = [(name.lower(), value) for name, value in zip(flat[::2], flat[1::2])]
        self.scheme = "https" if self._last("x-forwarded-proto") == "https" else "http"

    @property
    def client(self) -> Optional[str]:
        """The address of who called. The gateway adds its own header behind those that callers may have made up."""
        return self._last("x-forwarded-for") or None

    @property
    def server(self) -> tuple[str, int]:
        """Host and port that the caller asked for."""
        asked = self._last("x-forwarded-host") or self._last("host") or "localhost"
        host, colon, port = asked.rpartition(":")
        if not colon or asked.endswith("]") or not port.isdecimal():
            return asked, PORTS[self.scheme]
        return host, int(port)

    def _last(self, wanted: str) -> str:
        for name, value in reversed(self.headers):
            if name == wanted:
                return value.rpartition(",")[2].strip()
        return ""


def _own_url(context: Context) -> str:
    if context.tenant == DEFAULT_TENANT:
        return f"/fn/{context.app}/{context.function}"
    return f"/fn/@{context.tenant}/{context.app}/{context.function}"
