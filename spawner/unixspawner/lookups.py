"""Calls that a name service may keep waiting, made so that the hub itself never waits for them.

Runs in the hub. A call that hangs cannot be ended, only left behind; how many may be left behind
is bounded, and beyond that the answer is at once that there is none.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

MAX_LEFT = 8  # calls that hang; one that comes back makes room again

Answer = TypeVar("Answer")
_running: set[threading.Thread] = set()
_left: set[threading.Thread] = set()


class NoAnswerError(Exception):
    """The call did not come back in time."""


async def call(function: Callable[[], Answer], patience: float) -> Answer:
    """What the function returns or raises, called in a thread of its own.

    Raises:
        NoAnswerError: not within `patience` seconds, or too many hang already.
    """
    _left.intersection_update(_running)
    if len(_left) >= MAX_LEFT:
        raise NoAnswerError
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def work() -> None:
        try:
            _report(loop, answer, function(), None)
        except Exception as error:
            _report(loop, answer, None, error)
        finally:
            _running.discard(threading.current_thread())

    # A daemon, since the hub must be able to end while the call hangs.
    thread = threading.Thread(target=work, name="name service", daemon=True)
    _running.add(thread)
    thread.start()
    try:
        return await asyncio.wait_for(answer, patience)
    except TimeoutError:
        _left.add(thread)
        raise NoAnswerError from None


def _report(
    loop: asyncio.AbstractEventLoop,
    answer: "asyncio.Future[Answer]",
    value: Answer | None,
    error: Exception | None,
) -> None:
    def tell() -> None:
        if answer.done():
            return  # nobody waits any more
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(value)  # type: ignore[arg-type]  # None is what was returned

    with contextlib.suppress(RuntimeError):  # the loop is closed: the hub has ended
        loop.call_soon_threadsafe(tell)
