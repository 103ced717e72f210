"""Adopts what applications leave without a parent, so that all of it can be ended and buried.

Run as the person signed in, from the first application's start, or some seconds after the server's
own, to its end.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from .patience import in_thread
from .processes import adopt_orphans, end_all, reap_orphans

# A stop by the hub KILLs what is left after five seconds, ourselves too. Answers that are under way
# may take almost two of these.
LAST_PATIENCE = 2.5


class Orphans:
    """`leaders` are the children whose exit status somebody waits for."""

    def __init__(self) -> None:
        self.leaders: set[int] = set()
        self._being_born = 0
        self._loop = asyncio.get_running_loop()
        adopt_orphans()
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

    async def end_all(self) -> None:
        """Ends every process that was ever started here and still runs."""
        await in_thread(lambda: end_all(LAST_PATIENCE))

    def close(self) -> None:
        """Of no use afterwards. We go on adopting: a stop from outside finds what is still ours."""
        self._look()
        signal.signal(signal.SIGCHLD, self._before)
