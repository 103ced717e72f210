"""Which headers pass the gateway, and who we say is asking.

Run as the person signed in. Headers stay an ordered list of byte pairs: joining them would break
two Set-Cookie lines into one. https://datatracker.ietf.org/doc/html/rfc9110#section-7.6.1
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from .account import Account
from .cookies import XSRF_COOKIE
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
# What proxies of all kinds use to tell an application who is there. Only ours may say it.
_IDENTITY_NAMES = frozenset(
    {
        b"remote-user",
        b"remote-groups",
        b"remote-name",
        b"remote-email",
        b"proxy",  # becomes HTTP_PROXY in CGI programs: https://httpoxy.org/
        b"x-user",
        b"x-username",
        b"x-webauth-user",
        b"x-authenticated-user",
        b"x-forwarded-access-token",
        b"x-forwarded-email",
        b"x-forwarded-groups",
        b"x-forwarded-preferred-username",
        b"x-forwarded-prefix",
        b"x-forwarded-uid",
        b"x-script-name",
    }
)
_IDENTITY_STEMS = (
    b"x-forwarded-user",
    b"x-forwarded-visitor",
    b"x-auth-request-",
    b"x-remote-",
    b"x-unixspawner-",
)
# Clear-Site-Data deletes our cookies, Service-Worker-Allowed lets a script answer for the hub.
_NOT_ANSWERED = HOP_BY_HOP | {
    b"clear-site-data",
    b"service-worker-allowed",
    b"x-jupyterhub-version",
}
_NOT_FORWARDED = HOP_BY_HOP | {b"expect", b"host", b"authorization", b"cookie"}
_HUB_COOKIES = ("jupyterhub-", "__Host-jupyterhub-")


def request_headers(
    headers: HeaderList, *, session_cookie: str, authorization_used: bool
) -> Headers:
    """What an application may see of a request, without the identity, which is added last."""
    dropped = _NOT_FORWARDED | named_by_connection(headers)
    kept: Headers = []
    for name, value in headers:
        if name in {b"host", b"authorization", b"cookie"}:
            if name == b"cookie":
                value = application_cookies(value, session_cookie)
            if value and not (name == b"authorization" and authorization_used):
                kept.append((name, value))
        elif name not in dropped and not speaks_for_identity(name):
            kept.append((name, value))
    return kept


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
            if is_hub_cookie(_cookie_name(value), place.session_cookie):
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


def speaks_for_identity(name: bytes) -> bool:
    """CGI and WSGI turn - into _, so both spellings reach an application as one."""
    return _speaks_for_identity(name) if len(name) <= 64 else _judge_identity(name)


def _judge_identity(name: bytes) -> bool:
    plain = name.lower().replace(b"_", b"-")
    return (
        plain in _IDENTITY_NAMES
        or plain.startswith(_IDENTITY_STEMS)
        or (b"_" in name and plain.startswith((b"x-forwarded-", b"forwarded", b"x-real-")))
    )


# The same few names come with every request.
_speaks_for_identity = lru_cache(maxsize=512)(_judge_identity)


@lru_cache(maxsize=64)
def application_cookies(header: bytes, session_cookie: str) -> bytes:
    """The Cookie header without the hub's cookies and ours."""
    pairs = header.split(b";")
    kept = [pair for pair in pairs if not is_hub_cookie(_cookie_name(pair), session_cookie)]
    return b";".join(kept).strip()


def is_hub_cookie(name: str, session_cookie: str) -> bool:
    return (
        name == XSRF_COOKIE
        or name.startswith(_HUB_COOKIES)
        or (bool(session_cookie) and name.startswith(session_cookie))
    )


def first(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")


def _cookie_name(pair: bytes) -> str:
    """Browsers send a cookie without a name as its bare value, so `=_xsrf=1` is `_xsrf` as well."""
    return pair.lstrip(b"= \t").partition(b"=")[0].strip().decode("latin-1")


def _printable(text: str) -> bytes:
    return quote(text, safe="!#$&'()*+-./:;<=>?@[]^_`{|}~ ").encode()
