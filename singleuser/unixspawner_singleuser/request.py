"""One request as the gate sees it: parsed once, at the edge, from the ASGI scope.

Run as the person signed in, on everything that the proxy sends; every field is hostile. The raw
path decides where a request goes, segment by segment, so that an escaped slash never counts as
a slash.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

from starlette.types import Scope

from .errors import BadRequestError

HeaderList = tuple[tuple[bytes, bytes], ...]

# Where the gate leaves what it found out, in the ASGI scope.
REQUEST_KEY = "unixspawner.request"
SESSION_KEY = "unixspawner.session"
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DOT_SEGMENTS = frozenset({".", ".."})
_BLANKS = " \t"  # what RFC 6265 takes for white space, and Python has more


@dataclass(frozen=True, slots=True)
class Incoming:
    """What was asked. `below` is the raw path after the prefix, None when outside of it."""

    websocket: bool
    method: str
    raw_path: bytes
    query: bytes
    headers: HeaderList
    below: bytes | None
    fields: dict[bytes, list[bytes]]
    cookies: Mapping[str, list[str]]

    def header(self, name: bytes) -> str:
        """The first value of a header, or an empty string."""
        values = self.fields.get(name)
        return values[0].decode("latin-1") if values else ""

    def parameter(self, name: str) -> str:
        """The first value of a query parameter, or an empty string."""
        if name.encode() not in self.query:
            return ""
        try:
            pairs = parse_qsl(self.query.decode("latin-1"), max_num_fields=1000)
        except ValueError:
            raise BadRequestError("The address has too many parameters.") from None
        return next((value for key, value in pairs if key == name), "")

    @property
    def reads(self) -> bool:
        return self.method in READ_METHODS

    @property
    def fetch_mode(self) -> str:
        return self.header(b"sec-fetch-mode")

    @property
    def navigates(self) -> bool:
        """A browser opening a page, or a client too old or too simple to say so."""
        return self.fetch_mode in {"", "navigate"}

    @property
    def calls_api(self) -> bool:
        """API paths are never redirected to a sign-in page."""
        return self.below is not None and unquote(self.below.decode("latin-1")).startswith("api/")

    @property
    def target(self) -> str:
        """Path and query as they were sent."""
        query = b"?" + self.query if self.query else b""
        return (self.raw_path + query).decode("latin-1")


def read_request(scope: Scope, segments: tuple[str, ...]) -> Incoming:
    """Raises BadRequestError where two programs could read the request differently."""
    raw_path: bytes = scope["raw_path"]
    headers: HeaderList = tuple((name.lower(), value) for name, value in scope["headers"])
    if not raw_path.startswith(b"/"):
        raise BadRequestError("Only requests for a path are answered here.")
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name, []).append(value)
    if b"transfer-encoding" in fields and b"content-length" in fields:
        raise BadRequestError("A request must not carry both Content-Length and Transfer-Encoding.")
    below = path_below(raw_path, segments)
    if below is not None and has_dot_segments(below):
        raise BadRequestError("A path must not contain . or .. segments.")
    return Incoming(
        websocket=scope["type"] == "websocket",
        method=scope.get("method", "GET"),
        raw_path=raw_path,
        query=scope["query_string"],
        headers=headers,
        below=below,
        fields=fields,
        cookies=read_cookies(tuple(fields.get(b"cookie", ()))),
    )


def path_below(raw_path: bytes, segments: tuple[str, ...]) -> bytes | None:
    """The raw path after the prefix, b"" for the prefix itself, None outside of it.

    Clients differ in what they escape (@ or %40), so segments are compared decoded.
    """
    count = len(segments)
    parts = raw_path[1:].split(b"/", count)
    if len(parts) != count + 1:
        return None
    decoded = tuple(unquote(part.decode("latin-1")) for part in parts[:count])
    return parts[count] if decoded == segments else None


def has_dot_segments(raw: bytes) -> bool:
    if b"." not in raw and b"%2" not in raw:
        return False
    segments = unquote(raw.decode("latin-1")).replace("\\", "/").split("/")
    return not _DOT_SEGMENTS.isdisjoint(segments)


@lru_cache(maxsize=64)
def read_cookies(headers: tuple[bytes, ...]) -> Mapping[str, list[str]]:
    """Every value of every cookie: a sibling path may set a second one of the same name.

    A browser sends the same ones with every request, so the last few results are remembered.
    """
    cookies: dict[str, list[str]] = {}
    for header in headers:
        for pair in header.decode("latin-1").split(";"):
            name, separator, value = pair.partition("=")
            if separator:
                cookies.setdefault(name.strip(_BLANKS), []).append(value.strip(_BLANKS).strip('"'))
    return cookies


def browser_scheme(request: Incoming) -> str:
    """What the browser's address bar says, as far as the proxies in between tell.

    The outermost value counts; only the hub's proxy can reach this server.
    """
    forwarded = request.header(b"forwarded").partition(",")[0]
    for part in forwarded.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "proto":
            return value.strip().strip('"').lower()
    value = request.header(b"x-scheme") or request.header(b"x-forwarded-proto")
    return value.partition(",")[0].strip().lower() or "http"
