"""What is going on right now: open WebSockets and unfinished answers, and how to end them.

Run as the person signed in. A session that ends, by logout or because the hub no longer knows it,
takes its open connections along; a server that stops closes those that would never end by
themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from .errors import HubUnavailableError
from .sessions import Session, Sessions

log = logging.getLogger(__name__)

REVALIDATE_EVERY = 60.0


class CloseReason(IntEnum):
    """WebSocket close codes: https://www.iana.org/assignments/websocket"""

    SESSION_ENDED = 1008
    SERVER_STOPS = 1012


@dataclass(eq=False, slots=True)
class Exchange:
    """One request being forwarded. `endless` marks what a stop need not wait for."""

    session: Session
    close: Callable[[CloseReason], None]
    endless: bool = False


class Exchanges:
    def __init__(self) -> None:
        self._open: set[Exchange] = set()
        self._stopping = False

    @contextmanager
    def track(self, session: Session, close: Callable[[CloseReason], None]) -> Iterator[Exchange]:
        exchange = Exchange(session, close)
        self._open.add(exchange)
        try:
            yield exchange
        finally:
            self._open.discard(exchange)

    def mark_endless(self, exchange: Exchange) -> None:
        exchange.endless = True
        if self._stopping:
            exchange.close(CloseReason.SERVER_STOPS)

    def end_session(self, token_hash: str, session_id: str) -> None:
        """Closes everything of one browser session, in all of its tabs."""
        for exchange in list(self._open):
            session = exchange.session
            same_login = bool(session_id) and session.session_id == session_id
            if session.token_hash == token_hash or (same_login and session.source == "cookie"):
                exchange.close(CloseReason.SESSION_ENDED)

    def close_endless(self) -> None:
        self._stopping = True
        for exchange in list(self._open):
            if exchange.endless:
                exchange.close(CloseReason.SERVER_STOPS)

    def close_all(self) -> None:
        for exchange in list(self._open):
            exchange.close(CloseReason.SERVER_STOPS)

    async def revalidate(self, sessions: Sessions) -> None:
        """Asks the hub again about every session with something open, once each."""
        distinct = {
            (exchange.session.session_id, exchange.session.token_hash): exchange.session
            for exchange in self._open
        }
        for session in distinct.values():
            if not await _is_still_good(sessions, session):
                log.info("The session of %s has ended.", session.visitor.log_name)
                self._close_exactly(session)

    def _close_exactly(self, session: Session) -> None:
        for exchange in list(self._open):
            if (exchange.session.session_id, exchange.session.token_hash) == (
                session.session_id,
                session.token_hash,
            ):
                exchange.close(CloseReason.SESSION_ENDED)


async def _is_still_good(sessions: Sessions, session: Session) -> bool:
    """A hub that is silent, restarting perhaps, has not said no."""
    if session.credential is None:
        return True
    try:
        now = await sessions.open(session.credential, fresh=True)
    except HubUnavailableError:
        return True
    return now is not None and now.allowed
