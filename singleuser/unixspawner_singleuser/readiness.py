"""Whether an application answers: not only that it listens, but that it says something.

Run as the person signed in.
"""

from __future__ import annotations

import asyncio


async def answers(socket_path: str, target: str) -> bool:
    """One request on a connection of its own. Any answer will do, a refusal too.

    Whoever takes the connection may think about it for as long as the start may take.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(socket_path)
    except OSError:
        return False
    try:
        writer.write(_question(target))
        return bool(await reader.read(1))
    except OSError:
        return False
    finally:
        writer.transport.abort()


def _question(target: str) -> bytes:
    lines = (
        f"GET {target} HTTP/1.1",
        "Host: localhost",
        "User-Agent: unixspawner",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
