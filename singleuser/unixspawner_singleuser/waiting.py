"""The page that a browser shows while an application starts: what happens, as it happens.

Run as the person signed in. One answer that goes on for as long as the start takes, without a
script; at its end the browser is sent to where it wanted to go, or told why not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from .application_logs import readable_lines
from .catalogue import Application
from .errors import StartFailedError
from .exchanges import CloseReason, Exchanges
from .fragments import LOG_END, alert, frame, go_on, link, log_begin, log_lines, paragraph, step
from .headers import Headers
from .pages import Frame, html_headers
from .patience import in_time
from .runner import Runner
from .visit import Visit

PATIENCE = 0.7  # seconds before somebody who waits is told that he does
PACE = 0.25  # seconds between two looks at the log
SIGN_OF_LIFE = 15.0
MAX_SHOWN = 256 * 1024  # bytes of log
READ_TIMEOUT = 2.0


class Watch:
    """What has happened since one looked last: steps of the start, and lines of the log."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._steps = 0
        self._offset = 0
        self._rest = b""
        self._began = self._spoke = time.monotonic()

    async def news(self) -> str:
        """Markup for the log; empty when there is nothing new."""
        program = self._runner.program
        if program is None:
            return ""
        steps = program.steps[self._steps :]
        self._steps += len(steps)
        news = "".join(step(each.text) for each in steps) + log_lines(await self._lines())
        now = time.monotonic()
        if news or now - self._spoke < SIGN_OF_LIFE:
            self._spoke = now if news else self._spoke
            return news
        self._spoke = now
        return step(f"Still waiting, {now - self._began:.0f} seconds so far")

    async def _lines(self) -> list[str]:
        program = self._runner.program
        log = program.log if program is not None else None
        if log is None or self._offset >= MAX_SHOWN:
            return []
        try:
            data = await in_time(lambda: log.read_from(self._offset), READ_TIMEOUT)
        except (TimeoutError, BlockingIOError):
            return []
        self._offset += len(data)
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        lines = list(readable_lines(whole)) if newline else []
        if self._offset >= MAX_SHOWN:
            lines.append("The rest is in the log.")
        return lines


class WaitingPage:
    def __init__(self, exchanges: Exchanges, around: Frame) -> None:
        self._exchanges = exchanges
        self._around = around

    async def show(
        self,
        visit: Visit,
        application: Application,
        runner: Runner,
        ready: asyncio.Future[Application],
        after_failure: str,
        target: str,
    ) -> None:
        """`after_failure` is markup, `target` where the browser wanted to go."""
        over = asyncio.Event()
        gone = asyncio.create_task(_gone(visit, over))

        def close(reason: CloseReason) -> None:
            over.set()

        try:
            with self._exchanges.track(visit.session, close) as exchange:
                self._exchanges.mark_endless(exchange)
                await visit.send(_start())
                title = f"{application.title} is starting"
                before, after = frame(title, self._around)
                await visit.send(_body(before))
                async for piece in _pieces(title, runner, ready, over):
                    await visit.send(_body(piece))
                end = "" if over.is_set() else _end(ready, application, target, after_failure)
                await visit.send(_body(end.encode() + after, last=True))
        finally:
            gone.cancel()


async def _pieces(
    title: str,
    runner: Runner,
    ready: asyncio.Future[Application],
    over: asyncio.Event,
) -> AsyncIterator[bytes]:
    hint = paragraph("This page goes on by itself as soon as it is ready.")
    yield f"{hint}{log_begin(title)}".encode()
    watch = Watch(runner)
    closing = asyncio.create_task(over.wait())
    ends: set[asyncio.Future[Any]] = {ready, closing}
    try:
        while not ready.done() and not over.is_set():
            yield (await watch.news()).encode()
            await asyncio.wait(ends, timeout=PACE, return_when=asyncio.FIRST_COMPLETED)
        yield (await watch.news()).encode() + LOG_END.encode()
    finally:
        closing.cancel()


def _end(
    ready: asyncio.Future[Application], application: Application, target: str, after_failure: str
) -> str:
    try:
        ready.result()
    except StartFailedError as error:
        return alert(str(error)) + after_failure
    return paragraph(f"{application.title} is ready.") + link("Open", target) + go_on(target)


def _start() -> dict[str, object]:
    headers: Headers = [*html_headers(), (b"x-accel-buffering", b"no")]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _body(piece: bytes, *, last: bool = False) -> dict[str, object]:
    return {"type": "http.response.body", "body": piece, "more_body": not last}


async def _gone(visit: Visit, over: asyncio.Event) -> None:
    """Nobody need write for somebody who has left."""
    while (await visit.receive())["type"] != "http.disconnect":
        pass
    over.set()
