"""Behind the gate: hands a request to the root application, or to our own pages.

Run as the person signed in, for visitors who may be here. Also fixes what the application learns
about them.
"""

from __future__ import annotations

import logging
from urllib.parse import unquote, unquote_plus

from starlette.types import ASGIApp, Receive, Scope

from .account import Account, OwnAccount
from .activity import Activity
from .catalogue import Application, Catalogue
from .errors import UpstreamUnavailableError
from .exchanges import Exchanges
from .forward_http import HttpForwarder
from .forward_websocket import WebSocketForwarder
from .headers import Headers, identity_headers, request_headers
from .replies import Finish, redirect, refusal
from .request import Incoming
from .rewriting import Place
from .sessions import Session
from .settings import Settings, decoded_segments
from .upstreams import Errand, Upstreams

log = logging.getLogger(__name__)

# `apps` is where further applications will live.
OWN_NAMES = frozenset({"api", "oauth_callback", "logout", "apps"})
MAX_IDENTITIES = 100  # visitors whose headers are remembered


class Gateway:
    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        exchanges: Exchanges,
        activity: Activity,
        account: OwnAccount,
        own: ASGIApp,
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._account = account
        self._own = own
        self._upstreams = Upstreams()
        self._http = HttpForwarder(self._upstreams, exchanges, _place(settings))
        self._identities: dict[str, Headers] = {}
        self._websocket = WebSocketForwarder(self._upstreams, exchanges, activity)

    async def handle(
        self,
        request: Incoming,
        session: Session,
        scope: Scope,
        receive: Receive,
        send: Finish,
    ) -> None:
        application = self._catalogue.root
        opens_prefix = request.below == b"" and request.reads and not request.websocket
        if opens_prefix and self._start_page():
            await redirect(self._start_page())(scope, receive, send)
        elif application is None or is_own(request):
            await self._own(scope, receive, send)
        else:
            await self._forward(request, session, application, scope, receive, send)

    async def close(self) -> None:
        await self._upstreams.close()

    def _start_page(self) -> str:
        """Where `Spawner.default_url` points; empty when that is the prefix itself."""
        below = self._settings.default_url.removeprefix(self._settings.prefix).lstrip("/")
        return self._settings.prefix + below if below else ""

    async def _forward(
        self,
        request: Incoming,
        session: Session,
        application: Application,
        scope: Scope,
        receive: Receive,
        send: Finish,
    ) -> None:
        account = await self._account.get()
        errand = Errand(
            request=request,
            application=application,
            session=session,
            target=_target(request, session),
            headers=self._headers(request, session, account),
        )
        try:
            if request.websocket:
                await self._websocket.forward(errand, scope, receive, send)
            else:
                await self._http.forward(errand, receive, send)
        except UpstreamUnavailableError as error:
            log.warning("%s is not available: %s", application.name, error)
            reply = refusal(
                request,
                502,
                f"{application.title} does not answer",
                f"{application.title} is not running or not ready. Try again in a moment,"
                " and tell your administrator if it stays like this.",
            )
            await reply(scope, receive, send)

    def _headers(self, request: Incoming, session: Session, account: Account) -> Headers:
        visitor = session.visitor
        is_owner = visitor.kind == "user" and visitor.name == self._settings.user
        headers = request_headers(
            request.headers,
            session_cookie=self._settings.session_cookie,
            authorization_used=session.source == "header",
        )
        return headers + self._identity(account, "" if is_owner else visitor.label)

    def _identity(self, account: Account, visitor: str) -> Headers:
        """Made once for everybody who visits."""
        known = self._identities.get(visitor)
        if known is None:
            if len(self._identities) >= MAX_IDENTITIES:
                self._identities.clear()
            known = identity_headers(account, visitor, self._settings.prefix)
            self._identities[visitor] = known
        return known


def _place(settings: Settings) -> Place:
    return Place(
        prefix=settings.prefix.encode("latin-1"),
        segments=settings.segments,
        hub_segments=decoded_segments(settings.hub_prefix),
        session_cookie=settings.session_cookie,
    )


def is_own(request: Incoming) -> bool:
    """True for the addresses that never reach an application."""
    path = unquote((request.below or b"").decode("latin-1"))
    first, slash, _ = path.partition("/")
    return first in OWN_NAMES and (not slash or first == "apps")


def _target(request: Incoming, session: Session) -> bytes:
    """What the application is asked for; the prefix is ours."""
    query = _query(request, session)
    return b"/%b?%b" % (request.below or b"", query) if query else b"/" + (request.below or b"")


def _query(request: Incoming, session: Session) -> bytes:
    """The query, without the hub token if that is what signed the visitor in."""
    if session.source != "url":
        return request.query
    parts = request.query.split(b"&")
    return b"&".join(
        part for part in parts if unquote_plus(part.partition(b"=")[0].decode("latin-1")) != "token"
    )
