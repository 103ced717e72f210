"""A hub that is told to end ends, also when something in it does not."""

import asyncio
import contextlib

import pytest

from unixspawner import hub
from unixspawner.hub import UnixHub


class Stubborn(UnixHub):
    """A hub that has nothing to clean up."""

    async def cleanup(self) -> None:
        pass


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ENDING", 0.1)
    release = asyncio.Event()

    async def goes_on() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(goes_on())
        ending = loop.create_task(Stubborn().shutdown_cancel_tasks())  # stops the loop
        loop.call_later(20, loop.stop)
        began = loop.time()
        loop.run_forever()
        assert loop.time() - began < 10
        assert not task.done()
        release.set()
        loop.run_forever()
        assert (task.done(), ending.done()) == (True, True)
