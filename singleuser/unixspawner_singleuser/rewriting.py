"""What an application says about its own addresses, put right under the prefix.

Run as the person signed in, on every answer of an application. It sees paths below the prefix, and
many a one therefore redirects to `/login` or sets cookies for `/`. One that honours
X-Forwarded-Prefix says the whole path itself and is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .catalogue import Upstream
from .request import Incoming, path_below

_ABSOLUTE = re.compile(
    rb"https?://([^/?#\\]*)(?:(/[^/\\].*|/?)|([?#].*))", re.IGNORECASE | re.DOTALL
)
_END_OF_PATH = re.compile(rb"[?#]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the browser sees this server."""

    prefix: bytes  # escaped, with a slash at both ends
    segments: tuple[str, ...]
    hub_segments: tuple[str, ...]
    session_cookie: str


def own_hosts(request: Incoming, upstream: Upstream) -> frozenset[bytes]:
    """The names under which an application may speak of itself."""
    named = (request.fields.get(name, ()) for name in (b"host", b"x-forwarded-host"))
    hosts = {value.lower() for values in named for value in values}
    if upstream.socket_path is None:
        hosts.add(f"{upstream.host}:{upstream.port}".encode())
    return frozenset(hosts)


def location(value: bytes, place: Place, hosts: frozenset[bytes]) -> bytes:
    """A Location under the prefix; one that leads to another site is the application's own say."""
    if value.startswith(b"/"):
        leads_away = value[1:2] in {b"/", b"\\"}
        return value if leads_away else _below(value, place, hub_is_meant=True)
    match = _ABSOLUTE.fullmatch(value)
    if match is None or match[1].lower() not in hosts:
        return value
    return _below(match[2] or b"/" + (match[3] or b""), place, hub_is_meant=True)


def set_cookie(value: bytes, place: Place) -> bytes:
    """A Set-Cookie that is kept to this host and to paths under the prefix."""
    if b";" not in value:
        return value
    pair, *attributes = value.split(b";")
    kept = [pair]
    for attribute in attributes:
        name, _, text = attribute.partition(b"=")
        name, text = name.strip().lower(), text.strip()
        if name == b"path" and text.startswith(b"/"):
            attribute = b" Path=" + _below(text, place, hub_is_meant=False)
        if name != b"domain":
            kept.append(attribute)
    return b";".join(kept)


def _below(path: bytes, place: Place, *, hub_is_meant: bool) -> bytes:
    plain = _END_OF_PATH.split(path, maxsplit=1)[0] + b"/"
    if path_below(plain, place.segments) is not None:
        return path
    if hub_is_meant and path_below(plain, place.hub_segments) is not None:
        return path
    return place.prefix[:-1] + path
