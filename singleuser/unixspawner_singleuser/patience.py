"""Work that blocks, in threads of its own, so that nobody waits for ever.

Run as the person signed in. A home directory on a file server that is away stops whoever touches
it, and no timeout reaches into that. So each such piece of work gets a thread, which is left behind
when it takes too long; Python's own pool of threads would soon be full of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import os
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

MAX_STUCK = 8
_stuck: set[threading.Thread] = set()


async def in_time(work: Callable[[], Result], seconds: float) -> Result:
    """What `work` returns or raises. Raises TimeoutError, at once when others are still stuck, and
    BlockingIOError where the account may not have one more thread.
    """
    _stuck.difference_update([thread for thread in _stuck if not thread.is_alive()])
    if len(_stuck) >= MAX_STUCK:
        raise TimeoutError
    thread, outcome = _begin(work)
    try:
        async with asyncio.timeout(seconds):
            return await outcome
    except TimeoutError:
        if thread.is_alive():
            _stuck.add(thread)
        raise


async def in_thread(work: Callable[[], Result]) -> Result:
    """The same for work that ends by itself, however long it takes, and that must be done."""
    try:
        outcome = _begin(work)[1]
    except BlockingIOError:
        return work()  # everybody waits for it, which is better than leaving it
    return await outcome


def _begin(work: Callable[[], Result]) -> tuple[threading.Thread, asyncio.Future[Result]]:
    outcome: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
    thread = threading.Thread(target=_run, args=(work, outcome), daemon=True)
    try:
        thread.start()
    except RuntimeError:  # which is what Python makes of it
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
    return thread, outcome


def _run(work: Callable[[], Result], outcome: asyncio.Future[Result]) -> None:
    try:
        result = work()
    except Exception as error:
        _tell(outcome, functools.partial(outcome.set_exception, error))
    else:
        _tell(outcome, functools.partial(outcome.set_result, result))


def _tell(outcome: asyncio.Future[Result], tell: Callable[[], None]) -> None:
    def unless_gone() -> None:
        if not outcome.done():
            tell()

    with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
        outcome.get_loop().call_soon_threadsafe(unless_gone)
