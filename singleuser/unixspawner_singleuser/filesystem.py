"""How full the file system of the home directory is, asked so that a hanging one does no harm.

Run as the person signed in. As long as a file server is away, whoever asks it is stuck: so there is
never more than one question on the way, however often the page is looked at.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

from .patience import in_time

PATIENCE = 1.5  # seconds


@dataclass(frozen=True, slots=True)
class Space:
    """In bytes. What is free is what this account may still take; root's reserve is not."""

    used: int
    free: int

    @property
    def total(self) -> int:
        return self.used + self.free

    @property
    def percent(self) -> int:
        """What is used, as df has it: rounded up."""
        return -(-100 * self.used // self.total) if self.total else 100


def space_at(path: str) -> Space:
    found = os.statvfs(path)
    return Space(
        used=(found.f_blocks - found.f_bfree) * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
    )


class FileSystem:
    def __init__(self, ask: Callable[[str], Space] = space_at, patience: float = PATIENCE) -> None:
        self._ask = ask
        self._patience = patience
        self._question: asyncio.Task[Space] | None = None
        self._is_stuck = False

    async def space(self, path: str) -> Space:
        """Of one path, always the same. Raises TimeoutError while it hangs, OSError if it fails."""
        if self._question is None or (self._question.done() and not self._is_stuck):
            answer = functools.partial(self._answer, path)
            self._question = asyncio.create_task(in_time(answer, self._patience))
            self._question.add_done_callback(_seen)
        return await asyncio.shield(self._question)

    def _answer(self, path: str) -> Space:
        self._is_stuck = True
        try:
            return self._ask(path)
        finally:
            self._is_stuck = False


def _seen(question: asyncio.Task[Space]) -> None:
    """Also when everybody who waited for it has left."""
    if not question.cancelled():
        question.exception()
