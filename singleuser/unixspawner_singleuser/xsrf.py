"""Proof that a request which a cookie authenticates was made by a page that belongs here.

Run as the person signed in. The token is a MAC over the session, so a token tossed in by another
page of the same site is worth nothing. Which requests must carry it follows JupyterHub 4.1:
https://jupyterhub.readthedocs.io/en/stable/explanation/websecurity.html
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from urllib.parse import unquote, unquote_plus, urlsplit

from .cookies import XSRF_COOKIE
from .request import Incoming
from .sessions import Session
from .signing import Signer

# Applications know headers of these names too, with tokens of their own.
_CARRIERS = frozenset({b"x-xsrftoken", b"x-csrftoken"})
# https://fetch.spec.whatwg.org/#concept-request-destination
_PARTS_OF_A_PAGE = frozenset(
    {"audio", "font", "image", "manifest", "script", "style", "track", "video", "worker"}
)


def token_for(signer: Signer, session: Session) -> str:
    body = f"{session.session_id}:{session.token_hash}"
    return signer.mac(XSRF_COOKIE, body)


def is_demanded(request: Incoming) -> bool:
    """Not of pages that are only looked at, nor of what pages of this very server load and send.

    Most applications know nothing of our token, and their pages could not send it. Their requests
    are told by what browsers say of them: the same origin, and an address of this server. A script
    of another person's page, which is on the same origin, can claim that address; it could read
    the token just as well. The token remains for those that hide where they come from.
    """
    if request.websocket or (request.navigates and request.reads):
        return False
    if not _same_origin(request):
        return True
    if request.reads and (request.fetch_mode == "no-cors" or _is_part_of_a_page(request)):
        return False
    return not _comes_from_here(request)


def _is_part_of_a_page(request: Incoming) -> bool:
    """What a browser uses itself, and what no script gets to read by asking for it."""
    return request.header(b"sec-fetch-dest") in _PARTS_OF_A_PAGE


def _same_origin(request: Incoming) -> bool:
    """Browsers leave out Sec-Fetch-Site where a network could change it: on http."""
    site = request.header(b"sec-fetch-site")
    if site:
        return site == "same-origin"
    origin = urlsplit(request.header(b"origin")).netloc
    return bool(origin) and origin == request.header(b"host")


def _comes_from_here(request: Incoming) -> bool:
    """Whether Referer is an address below this server's prefix."""
    if request.below is None:
        return False
    prefix = request.raw_path.removesuffix(request.below).decode("latin-1")
    path = urlsplit(request.header(b"referer")).path
    return unquote(path).startswith(unquote(prefix))


def is_presented(signer: Signer, request: Incoming, session: Session) -> bool:
    """One of them is enough: beside ours may be one that the application asks for."""
    expected = token_for(signer, session).encode()
    presented = [value for name in _CARRIERS for value in request.fields.get(name, ())]
    presented.append(request.parameter(XSRF_COOKIE).encode())
    return any(hmac.compare_digest(value, expected) for value in presented)


def cookie_is_current(signer: Signer, request: Incoming, session: Session) -> bool:
    """True when the browser's scripts find this session's token first.

    A server with a shorter path (alice's own, beside her named one) has a cookie of its own here.
    """
    return request.cookies.get(XSRF_COOKIE, [])[:1] == [token_for(signer, session)]


def without_token(signer: Signer, request: Incoming, session: Session) -> Incoming:
    """The request as an application may see it: our token is for us alone.

    A form's field of that name is in the body, which is not looked into.
    """
    in_query = XSRF_COOKIE.encode() in request.query
    if not in_query and _CARRIERS.isdisjoint(request.fields):
        return request
    token = token_for(signer, session)
    headers = tuple(
        (name, value)
        for name, value in request.headers
        if name not in _CARRIERS or value.strip() != token.encode()
    )
    return replace(request, headers=headers, query=_without(request.query, token))


def _without(query: bytes, token: str) -> bytes:
    parts = (part for part in query.split(b"&") if not _holds(part, token))
    return b"&".join(parts)


def _holds(part: bytes, token: str) -> bool:
    name, _, value = part.decode("latin-1").partition("=")
    return unquote_plus(name) == XSRF_COOKIE and unquote_plus(value) == token
