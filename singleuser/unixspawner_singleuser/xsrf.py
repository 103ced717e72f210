"""Proof that a request which a cookie authenticates was made by a page that belongs here.

Run as the person signed in. The token is a MAC over the session, so a token tossed in by another
page of the same site is worth nothing. Which requests must carry it follows JupyterHub 4.1:
https://jupyterhub.readthedocs.io/en/stable/explanation/websecurity.html
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from urllib.parse import unquote_plus

from .cookies import XSRF_COOKIE
from .request import Incoming
from .sessions import Session
from .signing import Signer

# Applications know headers of these names too, with tokens of their own.
_CARRIERS = frozenset({b"x-xsrftoken", b"x-csrftoken"})


def token_for(signer: Signer, session: Session) -> str:
    body = f"{session.session_id}:{session.token_hash}"
    return signer.mac(XSRF_COOKIE, body)


def is_demanded(request: Incoming) -> bool:
    """Navigations that only read are free, and so are images and the like of our own pages."""
    if request.websocket:
        return False
    if request.navigates:
        return not request.reads
    same_origin = request.header(b"sec-fetch-site") == "same-origin"
    return not (request.fetch_mode == "no-cors" and same_origin and request.reads)


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
