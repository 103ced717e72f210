"""Says what was wrong when this server started: on the first page that a visitor opens, once.

Run as the person signed in. The mediator has found a home that is missing, full or not answering,
and started the server all the same. An application in the place of the home page would not say so.
"""

from __future__ import annotations

from .frames import frame_of
from .pages import Link, html_headers, page
from .replies import Reply, wants_page
from .request import Incoming
from .sessions import Session
from .settings import Settings

MAX_TOLD = 1000


class Trouble:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._told: set[str] = set()

    def first_page(self, request: Incoming, session: Session) -> Reply | None:
        """In the place of the page asked for; None when there is nothing to say (again)."""
        sentence = self._settings.trouble
        opens = request.below == b"" and request.reads and wants_page(request)
        if not sentence or not opens or request.websocket or session.token_hash in self._told:
            return None
        if len(self._told) < MAX_TOLD:
            self._told.add(session.token_hash)
        go_on = [Link("Go on", self._settings.prefix)]
        title, frame = "Something is wrong with your account here", frame_of(self._settings)
        return Reply(200, html_headers(), page(title, sentence, links=go_on, frame=frame))
