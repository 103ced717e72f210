"""The steps of a start reach everybody who watches, whenever they come."""

import asyncio

from unixspawner.progress import Progress


async def collect(progress: Progress) -> list[tuple[int, str]]:
    return [step async for step in progress.events()]


async def test_early_and_late_watchers_see_all_steps() -> None:
    progress = Progress()
    early = asyncio.create_task(collect(progress))
    progress.add(10, "one")
    await asyncio.sleep(0)
    progress.add(50, "two")
    progress.finish()
    assert await early == await collect(progress) == [(10, "one"), (50, "two")]


async def test_a_start_without_steps_ends() -> None:
    progress = Progress()
    progress.finish()
    assert await collect(progress) == []
