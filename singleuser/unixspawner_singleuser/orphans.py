"""Adopts what applications leave without a parent, so that all of it can be ended and buried.

Run as the person signed in, from the first application's start to the end of the server.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from .processes import adopt_orphans, reap_orphans


class Orphans:
    """`leaders` are the children whose exit status somebody waits for."""

    def __init__(self) -> None:
        self.leaders: set[int] = set()
        self._being_born = 0
        self._loop = asyncio.get_running_loop()
        adopt_orphans(True)
        # Not add_signal_handler: uvloop keeps this signal to itself, and does not use it before
        # somebody makes a child through uvloop, which nobody here does.
        self._before = signal.signal(signal.SIGCHLD, self._noticed)

    @contextmanager
    def spared(self) -> Iterator[set[int]]:
        """While a child is made whose number is not known yet, no child is taken for an orphan."""
        self._being_born += 1
        try:
            yield self.leaders
        finally:
            self._being_born -= 1
            self._look()

    def _noticed(self, number: int, frame: object) -> None:
        self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if not self._being_born:
            reap_orphans(self.leaders)

    def close(self) -> None:
        self._look()
        signal.signal(signal.SIGCHLD, self._before)
        adopt_orphans(False)
