"""Answers that are ours: pages, JSON and redirects, for HTTP and for a WebSocket handshake.

Run as the person signed in. People get a page, programs get JSON with the same sentence.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from email.utils import formatdate
from importlib import metadata

from starlette.responses import Response
from starlette.types import Message, Send

from .errors import AmbiguousSessionError, BadRequestError, HubUnavailableError
from .headers import Headers
from .pages import Link, html_headers, json_headers, json_message, page
from .request import Incoming

log = logging.getLogger(__name__)

_HEADS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


class Reply(Response):
    """A response whose headers are exactly the given ones, repeated names included."""

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        super().__init__(content=body, status_code=status)
        self.raw_headers = [*headers, (b"content-length", str(len(body)).encode())]

    def with_cookies(self, cookies: Sequence[bytes]) -> Reply:
        self.raw_headers.extend((b"set-cookie", cookie) for cookie in cookies)
        return self


def redirect(url: str, cookies: Sequence[bytes] = ()) -> Reply:
    headers = [
        (b"location", url.encode("latin-1")),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    ]
    return Reply(302, headers).with_cookies(cookies)


def refusal(
    request: Incoming | None,
    status: int,
    title: str,
    sentence: str,
    links: Sequence[Link] = (),
) -> Reply:
    """`title` for the page's heading, `sentence` for pages and programs alike.

    Without `links` a page has one to the home page, which is also the way to a sign-in.
    """
    if request is None or wants_page(request):
        links = links or _home(request)
        return Reply(status, html_headers(), page(title, sentence, links=links))
    return Reply(status, json_headers(), json_message(sentence))


def for_error(request: Incoming | None, error: Exception) -> Reply:
    """What a visitor is told when he cannot be identified. Raises any other error again."""
    if isinstance(error, HubUnavailableError):
        log.warning("A visitor could not be identified: %s.", error)
        return refusal(
            request,
            502,
            "The hub does not answer",
            "Who you are cannot be checked at the moment. Try again in a moment.",
        )
    if isinstance(error, BadRequestError):
        return refusal(request, 400, "Bad request", str(error))
    if isinstance(error, AmbiguousSessionError):
        log.warning("A browser sent several signed session cookies; none was taken.")
        return refusal(
            request,
            403,
            "Two sign-ins at once",
            "Your browser sent two different sign-ins for this server, so neither can be trusted."
            " Delete the cookies of this site and sign in again.",
        )
    raise error


def _home(request: Incoming | None) -> list[Link]:
    if request is None or request.below is None:
        return []
    prefix = request.raw_path[: len(request.raw_path) - len(request.below)].decode("latin-1")
    return [Link("Home", f"{prefix}apps/")]


def wants_page(request: Incoming) -> bool:
    return request.navigates and not request.calls_api and not request.websocket


class Finish:
    """Wraps `send` to put on every answer what belongs on all of them, cookies included."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.headers: Headers = [(b"x-jupyterhub-version", hub_version().encode())]

    async def __call__(self, message: Message) -> None:
        if message["type"] in _HEADS:
            headers: Headers = [*message["headers"], *self.headers]
            if all(name != b"date" for name, _ in headers):
                headers.append((b"date", _date(int(time.time()))))
            message = {**message, "headers": headers}
        await self._send(message)


_known_version: list[str] = []
_last_date: list[tuple[int, bytes]] = [(0, b"")]


def hub_version() -> str:
    """The JupyterHub that is installed beside us, without importing it."""
    if not _known_version:
        try:
            _known_version.append(metadata.version("jupyterhub"))
        except metadata.PackageNotFoundError:
            _known_version.append("")
    return _known_version[0]


def _date(now: int) -> bytes:
    if _last_date[0][0] != now:
        _last_date[0] = (now, formatdate(now, usegmt=True).encode())
    return _last_date[0][1]
