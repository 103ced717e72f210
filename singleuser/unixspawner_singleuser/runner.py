"""One application over time: started when it is asked for, once, and ended when it is not.

Run as the person signed in.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .catalogue import Application
from .errors import StartFailedError
from .on_demand import State
from .program import Program

log = logging.getLogger(__name__)

# An application that ends that soon after it became ready has probably not been stopped by anybody;
# started anew by every request, it would do so all day.
SHORT_LIFE, MANY_ENDS, RECENTLY = 10.0, 3, 60.0

Make = Callable[[Application], Program]


class Runner:
    def __init__(self, make: Make) -> None:
        self._make = make
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._early_ends: deque[float] = deque(maxlen=MANY_ENDS)
        self._uses = 0
        self._idle: asyncio.TimerHandle | None = None
        self._ready_since = 0.0
        self._is_closing = False
        self._serving: Program | None = None
        self.program: Program | None = None  # the last one, also when it failed or has ended
        self.failure = ""
        self.last_end = ""  # of the last run, when nobody wanted it: "ended with …"

    @property
    def state(self) -> State:
        if self._starting is not None:
            return "starting"
        if self._is_running():
            return "running"
        return "failed" if self.failure else "stopped"

    @property
    def placed(self) -> Application | None:
        """The application at the place where it listens, None unless it runs."""
        return self._serving.placed if self._serving is not None else None

    def differs_from(self, application: Application) -> bool:
        """Whether a restart would take other settings than it runs with."""
        serving = self._serving
        return serving is not None and serving.command != application.command

    async def ready(self, application: Application) -> Application:
        """The application at the place where it listens now. Raises StartFailedError."""
        if self.failure:
            raise StartFailedError(self.failure)
        if self._starting is None and not self._is_running():
            self._starting = asyncio.create_task(self._start(application))
            self._starting.add_done_callback(self._started)
        if self._starting is not None:
            await _follow(self._starting, application)
        if self._serving is None:
            raise StartFailedError(f"{application.title} was stopped.")
        return self._serving.placed

    async def has_ended(self, placed: Application) -> bool:
        """Whether the run that was ready a moment ago is gone."""
        serving = self._serving
        return serving is None or serving.placed != placed or await serving.has_ended()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        self._uses += 1
        try:
            yield
        finally:
            self._uses -= 1
            self._count_down()

    async def stop(self) -> None:
        """Ends it; a failure is forgotten."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        self.failure = ""
        if self._is_running():
            self._begin_end()
        if self._ending is not None:
            await asyncio.wait([self._ending])

    def give_up_starting(self) -> None:
        """Whoever waits for a start is told so at once."""
        if self._starting is not None:
            self._starting.cancel()

    def expect_end(self) -> None:
        """Somebody else ends everything; `close` is next."""
        self._is_closing = True

    async def close(self) -> None:
        await self.stop()
        if self._idle is not None:
            self._idle.cancel()
        if self.program is not None:
            await self.program.close()

    def _is_running(self) -> bool:
        return self._serving is not None

    async def _start(self, application: Application) -> None:
        if self._ending is not None:
            await asyncio.wait([self._ending])
        if self.program is not None:
            await self.program.close()
        self.program = program = self._make(application)
        self.last_end = ""
        try:
            await program.start()
        except StartFailedError as error:
            self.failure = str(error)
            log.warning("%s did not start: %s", application.name, error)
            self._begin_end()
            raise
        except asyncio.CancelledError:
            self._begin_end()
            raise
        self._serving = program
        self._ready_since = time.monotonic()
        log.info("%s runs, process %d.", application.name, program.pid)

    def _started(self, task: asyncio.Task[None]) -> None:
        self._starting = None
        if not task.cancelled() and task.exception() is None and self._serving is not None:
            self._serving.ended.add_done_callback(self._ended)
            self._count_down()

    def _ended(self, how: asyncio.Future[str]) -> None:
        if self._ending is not None or self._serving is None or self._is_closing:
            return  # that is what was wanted
        application, now = self._serving.application, time.monotonic()
        self.last_end = how.result()
        log.warning("%s %s.", application.name, self.last_end)
        if now - self._ready_since < SHORT_LIFE:
            self._early_ends.append(now)
        if len(self._early_ends) == MANY_ENDS and now - self._early_ends[0] < RECENTLY:
            self._early_ends.clear()
            self.failure = (
                f"{application.title} ended {MANY_ENDS} times soon after it had started;"
                f" the last time it {how.result()}."
            )
        self._begin_end()

    def _begin_end(self) -> None:
        program, self._serving = self.program, None
        if program is None or self._ending is not None:
            return
        if self._idle is not None:
            self._idle.cancel()
        self._ending = asyncio.create_task(program.end())
        self._ending.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._ending = None
        if not task.cancelled() and task.exception() is not None:
            log.error("An application could not be ended.", exc_info=task.exception())

    def _count_down(self) -> None:
        """Begins to wait for the next request; if none comes, that was it."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        seconds = self._serving.command.idle_timeout if self._serving is not None else 0
        if seconds and not self._uses:
            self._idle = asyncio.get_running_loop().call_later(seconds, self._end_idle)

    def _end_idle(self) -> None:
        self._idle = None
        if self._serving is not None and not self._uses:
            log.info("%s is ended: nobody has used it lately.", self._serving.application.name)
            self._begin_end()


async def _follow(starting: asyncio.Task[None], application: Application) -> None:
    """Waits with others for one start. Who leaves meanwhile does not end it for them."""
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        own = asyncio.current_task()
        if own is not None and not own.cancelling() and starting.cancelled():
            raise StartFailedError(f"{application.title} was stopped while it started.") from None
        raise
