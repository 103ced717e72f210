"""Waits for descriptors and for children in the hub."""

import asyncio
import contextlib
import signal
import subprocess

_left: list[subprocess.Popen[bytes]] = []


async def readable(descriptor: int) -> None:
    """Return once `descriptor` is readable; for a pidfd that is the end of its process."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def readable_within(descriptor: int, seconds: float) -> bool:
    """Whether it is so before the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await readable(descriptor)
            return True
    return False


def reap_later(child: subprocess.Popen[bytes]) -> None:
    """Take over a sudo that nobody waits for: it is root's, we cannot end it, only collect it.

    When a person stops a mediator (SIGSTOP), sudo stops itself too. Waking it is the one signal
    that we may send, being of the same session: it then passes the end on and is gone.
    """
    with contextlib.suppress(OSError):
        child.send_signal(signal.SIGCONT)
    _left[:] = [other for other in [*_left, child] if other.poll() is None]
