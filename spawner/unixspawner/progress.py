"""The steps of one start, for whoever watches: now, later, or from the beginning."""

import asyncio
from collections.abc import AsyncIterator


class Progress:
    """A list of steps that grows until it is finished."""

    def __init__(self) -> None:
        self._steps: list[tuple[int, str]] = []
        self._finished = False
        self._changed = asyncio.Event()

    def add(self, percent: int, message: str) -> None:
        """Record a step that has just been reached."""
        self._steps.append((percent, message))
        self._wake()

    def finish(self) -> None:
        """No more steps will come."""
        self._finished = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def events(self) -> AsyncIterator[tuple[int, str]]:
        """All steps from the first, then each new one as it comes."""
        seen = 0
        while True:
            for step in self._steps[seen:]:
                yield step
            if seen < len(self._steps):
                seen = len(self._steps)
            elif self._finished:
                return
            else:
                await self._changed.wait()
