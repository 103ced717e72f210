"""Tells people's servers to look again at who may use them. Runs in the hub.

The message says nothing and proves nothing: the server then asks the hub. So a person's server
ends even where sudo cannot end it, and a visitor whose rights have changed is met at once.
"""

import asyncio
import contextlib
from collections.abc import Iterable

PATIENCE = 1.0  # seconds; a server that does not listen looks by itself sooner or later


async def look_again(servers: Iterable[tuple[str, str]]) -> set[str]:
    """`servers` are paths of sockets, and the prefix of the URLs behind each.

    Returns the paths of those that have heard it.
    """
    heard = await asyncio.gather(*(_tell(path, prefix) for path, prefix in servers))
    return {path for path in heard if path}


async def _tell(path: str, prefix: str) -> str:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                head = f"POST {prefix}api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                writer.write(f"{head}Connection: close\r\n\r\n".encode("ascii"))
                return path if await reader.readline() else ""
            finally:
                writer.close()
    return ""
