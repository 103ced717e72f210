"""Behind the gate: hands a request to the application that its address names, or to our own pages.

Run as the person signed in, for visitors who may be here. Also fixes what the application learns
about them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

from starlette.types import ASGIApp, Receive, Scope

from .account import Account, OwnAccount
from .activity import Activity
from .catalogue import Application, Catalogue, Source
from .errors import StartFailedError, UpstreamUnavailableError
from .exchanges import CloseReason, Exchanges
from .forward_http import HttpForwarder
from .forward_websocket import WebSocketForwarder
from .frames import frame_of
from .headers import Headers, identity_headers, request_headers
from .logins import local_url
from .on_demand import OnDemand, base_of
from .replies import Finish, Reply, redirect, refusal, wants_page
from .request import Incoming
from .rewriting import Place
from .sessions import Session
from .settings import Settings, decoded_segments
from .trouble import Trouble
from .upstreams import Errand, Upstreams
from .visit import Visit, nothing

if TYPE_CHECKING:
    from .control import Control
    from .runner import Runner

log = logging.getLogger(__name__)

OWN_NAMES = frozenset({"api", "oauth_callback", "logout", "apps"})
MAX_IDENTITIES = 100  # visitors whose headers are remembered


@dataclass(frozen=True, slots=True)
class Stand:
    """An application's place in the browser's eyes, and what forwards to it there."""

    place: Place
    http: HttpForwarder
    websocket: WebSocketForwarder

    @property
    def url(self) -> str:
        return self.place.prefix.decode("latin-1")


class Gateway:
    def __init__(
        self,
        settings: Settings,
        source: Source,
        exchanges: Exchanges,
        activity: Activity,
        account: OwnAccount,
        own: ASGIApp,
        on_demand: OnDemand,
        controls: Callable[[], Control],
    ) -> None:
        self._settings = settings
        self._source = source
        self._exchanges = exchanges
        self._activity = activity
        self._account = account
        self._own = own
        self._on_demand = on_demand
        self._controls = controls  # made when they are needed
        self._trouble = Trouble(settings)
        self._upstreams = Upstreams()
        self._stands: dict[str, Stand] = {}
        self._identities: dict[tuple[str, str], Headers] = {}

    async def handle(
        self, request: Incoming, session: Session, scope: Scope, receive: Receive, send: Finish
    ) -> None:
        trouble = self._trouble.first_page(request, session)
        opens_prefix = request.below == b"" and request.reads and not request.websocket
        if trouble is not None:
            await trouble(scope, receive, send)
            return
        if opens_prefix and self._start_page():
            await redirect(self._start_page())(scope, receive, send)
            return
        account = await self._account.get()
        seen = self._source().visible(account.groups)
        visit = Visit(request, session, account, scope, receive, send)
        name = own_name(request)
        if name == "apps":
            await self._apps(visit, seen)
        elif seen.root is None or name:
            await self._own(scope, receive, send)
        else:
            await self._forward(visit, seen.root, request.below or b"")

    def adopt_orphans(self) -> None:
        """Of whatever an administrator's own program started before it became this server."""
        self._on_demand.adopt_orphans()

    def refuse_starts(self) -> None:
        """The server is about to stop: who waits for an application is told so now."""
        self._on_demand.refuse_starts()

    async def close(self) -> None:
        await self._on_demand.close()
        self._upstreams.close()

    async def _apps(self, visit: Visit, seen: Catalogue) -> None:
        """Everything below `apps`. Names are compared as they stand: no escapes, no guesses."""
        request = visit.request
        apps, *rest = (request.below or b"").split(b"/", 2)
        names = [part.decode("latin-1") for part in rest]
        looks = request.reads and not request.websocket
        if apps != b"apps":
            return await visit.answer(nothing(request))
        if not names and looks:
            return await visit.answer(self._redirect(request, "apps/"))
        if names == [""] and looks:
            home = {"path": "/", "raw_path": b"/"}
            return await self._own({**visit.scope, **home}, visit.receive, visit.send)
        if names[:1] == ["-"]:
            return await self._controls().handle(visit, seen, names[1:])
        application = seen.find(names[0]) if names else None
        if application is not None and len(names) == 2 and not application.root:
            return await self._forward(visit, application, rest[1])
        if application is None or not looks:
            return await visit.answer(nothing(request))
        below = "" if application.root else f"apps/{application.name}/"
        return await visit.answer(self._redirect(request, below))

    def _redirect(self, request: Incoming, below: str) -> Reply:
        query = f"?{request.query.decode('latin-1')}" if request.query else ""
        return redirect(f"{self._settings.prefix}{below}{query}")

    def _start_page(self) -> str:
        """Where `Spawner.default_url` points; empty when that is the prefix itself."""
        below = self._settings.default_url.removeprefix(self._settings.prefix).lstrip("/")
        return self._settings.prefix + below if below else ""

    async def _forward(self, visit: Visit, application: Application, below: bytes) -> None:
        stand = self._stand(application)
        try:
            if application.command is None:
                await self._carry(visit, stand, application, below)
            else:
                await self._carry_on_demand(visit, stand, application, below)
        except StartFailedError as error:
            await visit.answer(await self._controls().failed(visit, application, str(error)))
        except UpstreamUnavailableError as error:
            log.warning("%s is not available: %s", application.name, error)
            await visit.answer(_unavailable(visit.request, application))

    async def _carry_on_demand(
        self, visit: Visit, stand: Stand, application: Application, below: bytes
    ) -> None:
        runner = await self._on_demand.runner(application)
        with runner.in_use():
            if await self._shows_waiting(visit, application, runner):
                return
            placed = await self._ready(visit, application, runner)
            try:
                await self._carry(visit, stand, placed, below)
            except UpstreamUnavailableError:
                if not (_can_be_repeated(visit.request) and await runner.has_ended(placed)):
                    raise
                placed = await self._ready(visit, application, runner)
                await self._carry(visit, stand, placed, below)

    async def _ready(self, visit: Visit, application: Application, runner: Runner) -> Application:
        """Waits for a start, but no longer than the server and the session last."""
        if runner.placed is not None:
            return runner.placed
        over: asyncio.Future[CloseReason] = asyncio.get_running_loop().create_future()

        def close(reason: CloseReason) -> None:
            if not over.done():
                over.set_result(reason)

        with self._exchanges.track(visit.session, close) as exchange:
            self._exchanges.mark_endless(exchange)
            ready = _beginning(runner, application)
            ends: set[asyncio.Future[Any]] = {ready, over}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise StartFailedError(f"{application.title} is not waited for any longer.")
        return ready.result()

    async def _shows_waiting(self, visit: Visit, application: Application, runner: Runner) -> bool:
        """True when a browser was shown a page until the application was there."""
        if runner.placed is not None or not _can_show_waiting(visit.request):
            return False
        from .waiting import PATIENCE, WaitingPage

        ready = _beginning(runner, application)
        await asyncio.wait([ready], timeout=PATIENCE)
        if ready.done():
            return False
        query = _query(visit.request, visit.session)
        target = visit.request.raw_path + (b"?" + query if query else b"")
        url = local_url(target.decode("latin-1"), self._settings.prefix)
        ways_out = self._controls().ways_out(visit, application)
        page = WaitingPage(self._exchanges, frame_of(self._settings))
        await page.show(visit, application, runner, ready, ways_out, url)
        return True

    async def _carry(
        self, visit: Visit, stand: Stand, application: Application, below: bytes
    ) -> None:
        path = visit.request.raw_path if application.keep_prefix else b"/" + below
        query = _query(visit.request, visit.session)
        errand = Errand(
            request=visit.request,
            application=application,
            session=visit.session,
            target=b"%b?%b" % (path, query) if query else path,
            headers=self._headers(visit, stand.url),
        )
        if visit.request.websocket:
            await stand.websocket.forward(errand, visit.scope, visit.receive, visit.send)
        else:
            await stand.http.forward(errand, visit.scope, visit.receive, visit.send)

    def _stand(self, application: Application) -> Stand:
        """Made once for every address, of which an application has one or, as root, another."""
        url = base_of(application, self._settings.prefix)
        known = self._stands.get(url)
        if known is None:
            place = _place(self._settings, url)
            known = self._stands[url] = Stand(
                place,
                HttpForwarder(self._upstreams, self._exchanges, self._activity, place),
                WebSocketForwarder(self._upstreams, self._exchanges, self._activity, place),
            )
        return known

    def _headers(self, visit: Visit, url: str) -> Headers:
        session = visit.session
        visitor = session.visitor
        is_owner = visitor.kind == "user" and visitor.name == self._settings.user
        headers = request_headers(
            visit.request.headers,
            session_cookie=self._settings.session_cookie,
            authorization_used=session.source == "header",
        )
        return headers + self._identity(visit.account, "" if is_owner else visitor.label, url)

    def _identity(self, account: Account, visitor: str, url: str) -> Headers:
        """Made once for everybody who visits an application."""
        known = self._identities.get((visitor, url))
        if known is None:
            if len(self._identities) >= MAX_IDENTITIES:
                self._identities.clear()
            known = identity_headers(account, visitor, url)
            self._identities[visitor, url] = known
        return known


def _place(settings: Settings, url: str) -> Place:
    return Place(
        prefix=url.encode("latin-1"),
        segments=decoded_segments(url),
        hub_segments=decoded_segments(settings.hub_prefix),
        session_cookie=settings.session_cookie,
    )


def own_name(request: Incoming) -> str:
    """The first word of an address that never reaches the root application, else empty."""
    path = unquote((request.below or b"").decode("latin-1"))
    first, slash, _ = path.partition("/")
    return first if first in OWN_NAMES and (not slash or first == "apps") else ""


def _beginning(runner: Runner, application: Application) -> asyncio.Task[Application]:
    ready = asyncio.create_task(runner.ready(application))
    # Seen, also when everybody who waited for it has left.
    ready.add_done_callback(lambda task: task.cancelled() or task.exception())
    return ready


def _can_be_repeated(request: Incoming) -> bool:
    has_body = {b"content-length", b"transfer-encoding"} & request.fields.keys()
    return request.reads and not request.websocket and not has_body


def _can_show_waiting(request: Incoming) -> bool:
    takes_html = "text/html" in request.header(b"accept")
    return request.method == "GET" and takes_html and wants_page(request)


def _unavailable(request: Incoming, application: Application) -> Reply:
    return refusal(
        request,
        502,
        f"{application.title} does not answer",
        f"{application.title} is not running or not ready. Try again in a moment,"
        " and tell your administrator if it stays like this.",
    )


def _query(request: Incoming, session: Session) -> bytes:
    """The query, without the hub token if that is what signed the visitor in."""
    if session.source != "url":
        return request.query
    parts = request.query.split(b"&")
    return b"&".join(
        part for part in parts if unquote_plus(part.partition(b"=")[0].decode("latin-1")) != "token"
    )
