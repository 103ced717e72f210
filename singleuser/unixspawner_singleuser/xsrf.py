"""Proof that a request which a cookie authenticates was made by a page that belongs here.

Run as the person signed in. The token is a MAC over the session, so a token tossed in by another
page of the same site is worth nothing. Which requests must carry it follows JupyterHub 4.1:
https://jupyterhub.readthedocs.io/en/stable/explanation/websecurity.html
"""

from __future__ import annotations

import hmac

from .cookies import XSRF_COOKIE
from .request import Incoming
from .sessions import Session
from .signing import Signer


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
    presented = (
        request.header(b"x-xsrftoken")
        or request.header(b"x-csrftoken")
        or request.parameter(XSRF_COOKIE)
    )
    expected = token_for(signer, session)
    return hmac.compare_digest(presented.encode(), expected.encode())


def cookie_is_current(signer: Signer, request: Incoming, session: Session) -> bool:
    """True when the browser's scripts find this session's token first.

    A server with a shorter path (alice's own, beside her named one) has a cookie of its own here.
    """
    return request.cookies.get(XSRF_COOKIE, [])[:1] == [token_for(signer, session)]
