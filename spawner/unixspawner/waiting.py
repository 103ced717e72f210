"""Waits for descriptors in the hub's event loop."""

import asyncio


async def readable(descriptor: int) -> None:
    """Return once `descriptor` is readable; for a pidfd that is the end of its process."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
