"""Our own addresses below `apps/-/`: logs, restart, stop and icons of applications.

Run as the person signed in, for visitors who have passed the gate. What changes something is a form
that is posted; the gate has seen its _xsrf token.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from . import fragments
from .application_logs import Log, last_log, log_path, readable_lines
from .catalogue import Application, Catalogue
from .catalogue_files import Trusted, open_trusted
from .errors import InvalidApplicationError, StartFailedError
from .fragments import alert, button, link, log_block, paragraph, row
from .frames import frame_of
from .menu import Menu, Tile
from .on_demand import OnDemand
from .pages import html_headers, json_headers, json_message
from .patience import in_thread, in_time
from .replies import Reply, redirect, refusal, wants_page
from .settings import Settings
from .signing import Signer
from .visit import Visit, nothing
from .xsrf import token_for

LAST_LINES = 40  # of a log, where it explains a failure
READ_TIMEOUT = 5.0
MAX_ICON = 256 * 1024
_ICON_TYPES = {".svg": b"image/svg+xml", ".png": b"image/png"}
# An image that is opened by itself is a document of our origin.
_ICON_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
_STATES = {
    "stopped": "It does not run. It starts when somebody opens it.",
    "starting": "It is starting.",
    "running": "It runs.",
    "failed": "It did not start.",
}
SLOW = "Your home directory does not answer, so the log cannot be read."

Answer = Callable[[Visit, Application], Awaitable[Reply]]


class Control:
    def __init__(
        self,
        settings: Settings,
        on_demand: OnDemand,
        menu: Menu,
        signer: Signer,
        trusted: Trusted,
    ) -> None:
        self._settings = settings
        self._around = frame_of(settings)
        self._on_demand = on_demand
        self._menu = menu
        self._signer = signer
        self._trusted = trusted
        self._reads: dict[str, Answer] = {"log": self._log, "icon": self._icon}
        self._changes: dict[str, Answer] = {"restart": self._restart, "stop": self._stop}

    async def handle(self, visit: Visit, seen: Catalogue, names: list[str]) -> None:
        await visit.answer(await self._reply(visit, seen, names))

    async def failed(self, visit: Visit, application: Application, sentence: str) -> Reply:
        """People get the log and a way out, programs get the sentence."""
        if not wants_page(visit.request):
            return Reply(503, json_headers(), json_message(sentence))
        lines = (await self._lines(visit, application))[-LAST_LINES:]
        body = fragments.whole(
            f"{application.title} does not run",
            alert(sentence),
            log_block(f"The end of its log, {application.title}", lines),
            self.ways_out(visit, application),
            around=self._around,
        )
        return Reply(503, html_headers(), body)

    def ways_out(self, visit: Visit, application: Application) -> str:
        tile = self._menu.tile(application)
        again = button("Restart", tile.restart_url, self._token(visit), "btn btn-primary")
        return row(again, link("Log", tile.log_url), self._home())

    async def _reply(self, visit: Visit, seen: Catalogue, names: list[str]) -> Reply:
        request = visit.request
        if request.websocket or not (request.reads or request.method == "POST"):
            return nothing(request)
        if names == ["log"] and request.reads:
            return await self._server_log()
        name, _, verb = "/".join(names).partition("/")
        application = seen.find(name)
        answers = self._reads if request.reads else self._changes
        if application is None or verb not in answers:
            return nothing(request)
        try:
            return await answers[verb](visit, application)
        except StartFailedError as error:
            return refusal(request, 503, f"{application.title} does not run", str(error))

    async def _restart(self, visit: Visit, application: Application) -> Reply:
        """The browser goes to the application next, and by that starts it."""
        if application.command is None:
            return nothing(visit.request)
        await (await self._on_demand.runner(application)).stop()
        return redirect(self._menu.tile(application).url)

    async def _stop(self, visit: Visit, application: Application) -> Reply:
        if application.command is None:
            return nothing(visit.request)
        await (await self._on_demand.runner(application)).stop()
        return redirect(f"{self._settings.prefix}apps/")

    async def _log(self, visit: Visit, application: Application) -> Reply:
        if application.command is None:
            return nothing(visit.request)
        tile = self._menu.tile(application)
        runner = self._on_demand.known(application.name)
        failure = runner.failure if runner is not None else ""
        pieces = [alert(failure) if failure else paragraph(_STATES[tile.state])]
        if runner is not None and runner.last_end and not failure:
            pieces.append(alert(f"{application.title} {runner.last_end}."))
        if tile.outdated:
            pieces.append(paragraph("Its settings have changed; a restart takes the new ones."))
        title = f"Log of {application.title}"
        pieces += [
            log_block(title, await self._lines(visit, application)),
            self._forms(visit, tile),
        ]
        return Reply(200, html_headers(), fragments.whole(title, *pieces, around=self._around))

    def _forms(self, visit: Visit, tile: Tile) -> str:
        token = self._token(visit)
        forms = [button("Restart", tile.restart_url, token)]
        if tile.state in ("running", "starting"):
            forms.append(button("Stop", tile.stop_url, token))
        return row(*forms, link(f"Open {tile.title}", tile.url), self._home())

    async def _icon(self, visit: Visit, application: Application) -> Reply:
        def read() -> bytes:
            with open(open_trusted(application.icon, self._trusted), "rb") as file:
                return file.read(MAX_ICON + 1)

        kind = _ICON_TYPES.get(os.path.splitext(application.icon)[1])
        try:
            data = await in_thread(read) if kind else b""
        except (OSError, InvalidApplicationError):
            data = b""
        if not data or kind is None or len(data) > MAX_ICON:
            return nothing(visit.request)
        headers = [
            (b"content-type", kind),
            (b"content-security-policy", _ICON_POLICY),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"private, max-age=300"),
        ]
        return Reply(200, headers, data)

    async def _server_log(self) -> Reply:
        """What this very process writes to, wherever that is."""

        def read() -> list[str]:
            descriptor = os.open("/proc/self/fd/2", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            log = Log(descriptor)
            try:
                return list(readable_lines(log.tail()))
            finally:
                log.close()

        title = "Log of your server"
        try:
            piece = log_block(title, await in_time(read, READ_TIMEOUT))
        except TimeoutError:
            piece = alert(SLOW)
        except OSError as error:
            piece = alert(f"The log cannot be read: {error.strerror}.")
        body = fragments.whole(title, piece, row(self._home()), around=self._around)
        return Reply(200, html_headers(), body)

    async def _lines(self, visit: Visit, application: Application) -> list[str]:
        """The end of the log of the last run, also of one before this server's start."""
        home = visit.account.home
        runner = self._on_demand.known(application.name)
        program = runner.program if runner is not None else None

        def read() -> list[str]:
            if program is not None and program.log is not None:
                return list(readable_lines(program.log.tail()))
            name = self._settings.server_name
            return list(readable_lines(last_log(log_path(home, name, application.name))))

        try:
            return await in_time(read, READ_TIMEOUT)
        except TimeoutError:
            return [SLOW]
        except BlockingIOError as error:
            return [f"The log cannot be read: {error.strerror}."]

    def _token(self, visit: Visit) -> str:
        """What a form must carry that a cookie authenticates."""
        is_cookie = visit.session.source == "cookie"
        return token_for(self._signer, visit.session) if is_cookie else ""

    def _home(self) -> str:
        return link("Home", f"{self._settings.prefix}apps/")
