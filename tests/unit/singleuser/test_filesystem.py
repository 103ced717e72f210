"""How full a file system is, and what happens while it does not say."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from unixspawner_singleuser.filesystem import FileSystem, Space, space_at

SPACE = Space(used=60, free=30)


class Hanging:
    """A file system that is away until it is told to answer. Each question is counted."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0

    def __call__(self, path: str) -> Space:
        self.asked += 1
        self.answers.wait()
        return SPACE


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    away = Hanging()
    yield away
    away.answers.set()


def test_it_says_what_df_says(tmp_path: Path) -> None:
    space, found = space_at(str(tmp_path)), os.statvfs(tmp_path)
    assert 0 < space.total <= found.f_blocks * found.f_frsize
    assert space.free <= found.f_bfree * found.f_frsize
    assert 0 <= space.percent <= 100


@pytest.mark.parametrize(
    ("space", "percent"),
    [
        (SPACE, 67),
        (Space(100, 0), 100),
        (Space(0, 100), 0),
        (Space(0, 0), 100),
    ],
)
def test_percent_is_of_what_this_account_could_have(space: Space, percent: int) -> None:
    assert space.percent == percent


async def test_while_it_hangs_nobody_waits_long_and_it_is_asked_once(hanging: Hanging) -> None:
    filesystem = FileSystem(hanging, patience=0.05)
    first = await asyncio.gather(
        *(filesystem.space("/home") for _ in range(3)), return_exceptions=True
    )
    assert [type(each) for each in first] == [TimeoutError] * 3
    begin = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await filesystem.space("/home")
    assert asyncio.get_running_loop().time() - begin < 0.05
    assert hanging.asked == 1


async def test_when_it_is_back_it_is_asked_again(hanging: Hanging) -> None:
    filesystem = FileSystem(hanging, patience=0.05)
    with pytest.raises(TimeoutError):
        await filesystem.space("/home")
    hanging.answers.set()
    while hanging.asked == 1:
        try:
            assert await filesystem.space("/home") == SPACE
        except TimeoutError:  # the first thread is on its way out
            await asyncio.sleep(0)
    assert await filesystem.space("/home") == SPACE


async def test_an_error_is_an_error_each_time() -> None:
    def fail(path: str) -> Space:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    filesystem = FileSystem(fail)
    for _ in range(2):
        with pytest.raises(OSError, match="Stale file handle"):
            await filesystem.space("/home")


async def test_somebody_who_leaves_does_not_take_the_answer_away(hanging: Hanging) -> None:
    filesystem = FileSystem(hanging)
    leaves = asyncio.create_task(filesystem.space("/home"))
    stays = asyncio.create_task(filesystem.space("/home"))
    await asyncio.sleep(0)
    leaves.cancel()
    hanging.answers.set()
    assert await stays == SPACE
