"""The gate: pure ASGI, in front of everything, for HTTP and WebSocket alike.

Run as the person signed in, on every request. Decides who is asking and whether he may; nothing
behind it decides that again, and nothing behind it is contacted before it has.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from .activity import Activity
from .cookies import session_cookie, xsrf_cookie
from .errors import AmbiguousSessionError, BadRequestError, HubUnavailableError
from .gateway import Gateway
from .lookout import Lookout
from .pages import Link, json_headers
from .replies import Finish, Reply, for_error, redirect, refusal, wants_page
from .request import REQUEST_KEY, SESSION_KEY, Incoming, read_request
from .sessions import Session, Sessions
from .settings import Settings
from .signin import SignIn
from .signing import Signer
from .visitors import Visitor
from .xsrf import cookie_is_current, is_demanded, is_presented, token_for, without_token

log = logging.getLogger(__name__)

PUBLIC = frozenset({b"api", b"oauth_callback", b"logout"})


class Gate:
    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        signin: SignIn,
        signer: Signer,
        activity: Activity,
        gateway: Gateway,
        own: ASGIApp,
        lookout: Lookout,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._signin = signin
        self._signer = signer
        self._activity = activity
        self._gateway = gateway
        self._own = own
        self._lookout = lookout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        finish = Finish(send)
        request: Incoming | None = None
        try:
            request = read_request(scope, self._settings.segments)
            reply = await self._handle(request, scope, receive, finish)
        except BadRequestError as error:
            reply = refusal(request, 400, "Bad request", str(error))
            reply.raw_headers.append((b"connection", b"close"))
        except (AmbiguousSessionError, HubUnavailableError) as error:
            reply = for_error(request, error)
        if reply is not None:
            await reply(scope, receive, finish)

    async def _handle(
        self, request: Incoming, scope: Scope, receive: Receive, send: Finish
    ) -> Reply | None:
        """A refusal or redirect, or None when the request has been dealt with."""
        if request.below is None:
            return self._outside(request)
        scope[REQUEST_KEY] = request
        scope["raw_path"] = b"/" + request.below
        scope["path"] = unquote(scope["raw_path"].decode("latin-1"))
        if _is_from_the_hub(request):
            self._lookout.tell()
            return Reply(202, json_headers())
        if request.below in PUBLIC and not request.websocket:
            await self._own(scope, receive, send)
            return None
        session = await self._session(request)
        refused = self._check(request, session)
        if refused is not None or session is None:
            return refused
        scope[SESSION_KEY] = session
        send.headers.extend((b"set-cookie", cookie) for cookie in self._cookies(request, session))
        self._activity.note()
        passed_on = without_token(self._signer, request, session)
        await self._gateway.handle(passed_on, session, scope, receive, send)
        return None

    async def _session(self, request: Incoming) -> Session | None:
        if self._settings.dev:
            visitor = Visitor(self._settings.user, "user", frozenset())
            return Session(visitor=visitor, allowed=True, source="none")
        return await self._sessions.session(request)

    def _check(self, request: Incoming, session: Session | None) -> Reply | None:
        """None lets the request pass."""
        if session is None:
            return self._stranger(request)
        if not session.allowed:
            return self._forbidden(request, session.visitor)
        if session.source != "cookie":
            return None
        if request.websocket and not self._origin_is_ours(request):
            return refusal(request, 403, "Refused", "Another site opened this connection.")
        if is_demanded(request) and not is_presented(self._signer, request, session):
            return refusal(
                request,
                403,
                "Refused",
                "This request does not carry the _xsrf token of your session."
                " Reload the page that it came from, and try again.",
            )
        return None

    def _outside(self, request: Incoming) -> Reply:
        prefix = self._settings.prefix
        if request.raw_path + b"/" == prefix.encode("latin-1") and request.reads:
            return redirect(
                prefix + (f"?{request.query.decode('latin-1')}" if request.query else "")
            )
        return refusal(request, 404, "Not found", "There is nothing at this address.")

    def _stranger(self, request: Incoming) -> Reply:
        if wants_page(request) and request.method in {"GET", "HEAD"}:
            return self._signin.begin(request)
        again = [Link("Sign in", self._settings.prefix)]
        return refusal(request, 403, "Not signed in", "You are not signed in here.", again)

    def _forbidden(self, request: Incoming, visitor: Visitor) -> Reply:
        log.warning("%s may not use the server of %s.", visitor.log_name, self._settings.user)
        return refusal(
            request,
            403,
            "Not your server",
            f"You are signed in as {visitor.label}, who may not use the server"
            f" of {self._settings.user}.",
            [
                Link("My own servers", self._settings.hub_home_url),
                Link("Sign out", f"{self._settings.prefix}logout"),
            ],
        )

    def _origin_is_ours(self, request: Incoming) -> bool:
        """Browsers always send Origin with a WebSocket; a client without it is not a browser."""
        origins = request.fields.get(b"origin", [])
        if not origins:
            return True
        origin = origins[0].decode("latin-1").lower()
        hosts = {request.header(b"host"), urlsplit(self._settings.public_url).netloc} - {""}
        ours = {f"{scheme}://{host.lower()}" for scheme in ("http", "https") for host in hosts}
        return len(origins) == 1 and origin in ours

    def _cookies(self, request: Incoming, session: Session) -> Sequence[bytes]:
        """A token from the URL becomes a session; a page's scripts get the _xsrf token."""
        if not wants_page(request) or not request.reads or session.credential is None:
            return ()
        xsrf = xsrf_cookie(self._settings, request, token_for(self._signer, session))
        if session.source == "url":
            signed = self._sessions.signed(session.credential.token)
            return (session_cookie(self._settings, request, signed), xsrf)
        if session.source == "cookie" and not cookie_is_current(self._signer, request, session):
            return (xsrf,)
        return ()


def _is_from_the_hub(request: Incoming) -> bool:
    """A request to look again that has not come through the proxy, which leaves its mark."""
    direct = b"x-forwarded-for" not in request.fields
    return request.below == b"api" and request.method == "POST" and direct
