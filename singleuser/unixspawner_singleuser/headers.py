"""Which headers pass the gateway, and who we say is asking.

Run as the person signed in. Headers stay an ordered list of byte pairs: joining them would break
two Set-Cookie lines into one. https://datatracker.ietf.org/doc/html/rfc9110#section-7.6.1
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from .account import Account
from .cookies import XSRF_COOKIE
from .impersonation import speaks_for_identity
from .request import HeaderList
from .rewriting import Place, location, set_cookie

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Clear-Site-Data deletes our cookies, Service-Worker-Allowed lets a script answer for the hub.
_NOT_ANSWERED = HOP_BY_HOP | {
    b"clear-site-data",
    b"service-worker-allowed",
    b"x-jupyterhub-version",
}
_NOT_FORWARDED = HOP_BY_HOP | {b"expect"}
# Without these an application would read the request differently from us, whatever Connection says.
_FRAMING = frozenset({b"content-length", b"host"})
_LOOKED_INTO = frozenset({b"cookie", b"authorization", b"referer"})
_SECRET_PARAMETERS = re.compile(rb"[?&](?:token|_xsrf)=")
_NO_NAME = "= \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"
_HUB_COOKIES = ("jupyterhub-", "__host-", "__secure-jupyterhub-")


def request_headers(
    headers: HeaderList, *, session_cookie: str, authorization_used: bool
) -> Headers:
    """What an application may see of a request, without the identity, which is added last."""
    dropped = _NOT_FORWARDED
    named = named_by_connection(headers)
    if named:
        dropped |= named - _FRAMING
    if authorization_used:
        dropped |= {b"authorization"}
    kept: Headers = []
    for name, value in headers:
        if name in dropped or speaks_for_identity(name):
            continue
        if name in _LOOKED_INTO:
            value = _looked_into(name, value, session_cookie)
            if not value:
                continue
        kept.append((name, value))
    return kept


def _looked_into(name: bytes, value: bytes, session_cookie: str) -> bytes:
    """What is left of a value that may hold a secret of ours."""
    if name == b"cookie":
        return application_cookies(value, session_cookie)
    return _plain_referer(value) if name == b"referer" else value


def response_headers(headers: Headers, place: Place, hosts: frozenset[bytes]) -> Headers:
    """What a browser may see of an application's answer; the names are in lower case.

    An application shares our origin and our path: what would overwrite or delete our cookies, or
    reach beyond the prefix, is not passed on.
    """
    dropped = _NOT_ANSWERED | named_by_connection(headers)
    kept: Headers = []
    for name, value in headers:
        if name in dropped:
            continue
        if name == b"set-cookie":
            if is_hub_cookie(_cookie_name(value.partition(b";")[0]), place.session_cookie):
                continue
            value = set_cookie(value, place)
        elif name == b"location":
            value = location(value, place, hosts)
        kept.append((name, value))
    return kept


def identity_headers(account: Account, visitor: str, prefix: str) -> Headers:
    """The account the server runs as, and who is visiting when that is somebody else."""
    headers = [
        (b"x-forwarded-user", _printable(account.name)),
        (b"x-forwarded-uid", str(account.uid).encode()),
        (b"x-forwarded-groups", b",".join(_printable(group) for group in account.groups)),
        (b"x-forwarded-prefix", prefix.rstrip("/").encode("latin-1")),
    ]
    if visitor:
        headers.append((b"x-forwarded-visitor", _printable(visitor)))
    return headers


def named_by_connection(headers: Sequence[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """Header names that Connection declares to be for this hop only. Names are in lower case."""
    listed = [value for name, value in headers if name == b"connection"]
    if not listed or listed == [b"keep-alive"]:
        return frozenset()
    return frozenset(name.strip().lower() for name in b",".join(listed).split(b",")) - {b""}


@lru_cache(maxsize=64)
def application_cookies(header: bytes, session_cookie: str) -> bytes:
    """The Cookie header without the hub's cookies and ours."""
    pairs = header.split(b";")
    kept = [pair for pair in pairs if not is_hub_cookie(_cookie_name(pair), session_cookie)]
    return b";".join(kept).strip()


def is_hub_cookie(name: str, session_cookie: str) -> bool:
    """In any case: not every program takes names as exactly as browsers do.

    `__Host-` cookies are for the whole site by definition, so none belongs to an application.
    """
    name = name.lower()
    return (
        name == XSRF_COOKIE
        or name.startswith(_HUB_COOKIES)
        or (bool(session_cookie) and name.startswith(session_cookie.lower()))
    )


def first(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")


def _cookie_name(pair: bytes) -> str:
    """The name under which any program could find it.

    Browsers send a cookie without a name as its bare value, so `=_xsrf=1` is `_xsrf` as well. Some
    programs strip more than blanks: what Python takes for white space goes up to \\xa0.
    """
    return pair.decode("latin-1").lstrip(_NO_NAME).partition("=")[0].strip()


def _plain_referer(value: bytes) -> bytes:
    """The address of the page before, without its query when that holds a token of ours."""
    return value.partition(b"?")[0] if _SECRET_PARAMETERS.search(value) else value


def _printable(text: str) -> bytes:
    return quote(text, safe="!#$&'()*+-./:;<=>?@[]^_`{|}~ ").encode()
