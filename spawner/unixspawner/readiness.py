"""Waits for a server's first answer, or its end, whichever comes first; runs in the hub."""

import asyncio
import contextlib

from .process import ServerProcess
from .waiting import readable

HANG_UP = 1.0  # seconds between a connection that breaks and the end that is its usual reason


class EndedEarlyError(Exception):
    """The server's process ended before it answered."""


async def first_answer(path: str, target: str, process: ServerProcess) -> None:
    """Return when `GET target` on the socket at `path` has been answered.

    The socket listens already, so the request waits there until the server reads it. A server
    that hangs up but lives on is left to JupyterHub, which asks again until its own timeout.

    Raises:
        EndedEarlyError: the process is gone.
    """
    asking = asyncio.create_task(_ask(path, target))
    ending = asyncio.create_task(readable(process.handle))
    try:
        await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
        answered = asking.done() and not asking.cancelled() and asking.exception() is None
        if not (answered and asking.result()):
            await asyncio.wait({ending}, timeout=HANG_UP)
            if ending.done():
                raise EndedEarlyError
    finally:
        for task in (asking, ending):
            task.cancel()
        await asyncio.gather(asking, ending, return_exceptions=True)


async def _ask(path: str, target: str) -> bool:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        return (await reader.readline()).startswith(b"HTTP/1.")
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
