"""An open WebSocket: bytes in both directions between a browser's connection and an application's.

Run as the person signed in. Nothing is taken apart or kept: what arrives at one end leaves at the
other, and an end that takes nothing stops the reading from the other one. `Frames` only tells where
we may speak ourselves: a session that ends, a server that stops and a side that vanishes are said
in a Close frame if they happen between two frames, and otherwise by the end of the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .connections import Wire, left_behind, nobody_is_there
from .exchanges import CloseReason
from .websocket_frames import Frames, close_frame

# How long either side may take to answer the end of a conversation with its own, and how long one
# that is still reading what the other had said may pause in it.
LINGER = 3.0
LINGER_UNSENT = 30.0
# The same when it is we who end it.
LINGER_CUT = 1.0
# How often a browser that is kept waiting is looked after.
LOOK_EVERY = 5.0

GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
BAD_GATEWAY = 1014


class Tunnel:
    def __init__(
        self, browser: Wire, application: Wire, *, extended: bool, on_data: Callable[[], None]
    ) -> None:
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None
        self.on_data = on_data
        self._browser = _End(self, browser, is_browser=True, extended=extended)
        self._application = _End(self, application, is_browser=False, extended=extended)
        self._browser.other, self._application.other = self._application, self._browser
        self._ends = (self._browser, self._application)
        for end in self._ends:
            end.transport.set_protocol(end)

    async def run(self) -> None:
        """Ends when both connections have been closed."""
        try:
            for end in self._ends:
                end.begin()
            await self._over
        finally:
            if self._timer is not None:
                self._timer.cancel()
            for end in self._ends:
                end.transport.abort()

    def close(self, reason: CloseReason) -> None:
        """Nothing of either side passes from now on."""
        self._say(int(reason), GOING_AWAY)

    def ended(self, end: _End) -> None:
        """One side will say no more. The other one may still answer that."""
        end.other.finish(GOING_AWAY if end.is_browser else BAD_GATEWAY)
        for one in self._ends:
            if one.silent and one.finished:
                one.transport.close()
        if all(one.lost for one in self._ends) and not self._over.done():
            self._over.set_result(None)
        elif self._timer is None:
            self._wait(LINGER)

    def broken(self, end: _End) -> None:
        """What one side sent is no WebSocket."""
        if end.is_browser:
            self._say(PROTOCOL_ERROR, GOING_AWAY)
        else:
            self._say(BAD_GATEWAY, PROTOCOL_ERROR)

    def _say(self, to_browser: int, to_application: int) -> None:
        self._browser.finish(to_browser)
        self._application.finish(to_application)
        for end in self._ends:
            end.resume()  # to hear the answers
        self._wait(LINGER_CUT)

    def _wait(self, seconds: float, unsent: int = 0) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._give_up, seconds != LINGER_CUT, unsent)

    def _give_up(self, patient: bool, before: int) -> None:
        unsent = sum(end.unsent for end in self._ends)
        if patient and unsent and unsent != before:
            self._wait(LINGER_UNSENT, unsent)
            return
        for end in self._ends:
            end.transport.abort()


class _End(asyncio.Protocol):
    """One end of a tunnel: reads what goes out at the other end."""

    other: _End

    def __init__(self, tunnel: Tunnel, wire: Wire, *, is_browser: bool, extended: bool) -> None:
        self._tunnel = tunnel
        self._early = wire.early
        self._look: asyncio.TimerHandle | None = None
        self.transport = wire.transport
        self.is_browser = is_browser
        self.frames = Frames(masked=is_browser, extended=extended)  # of what comes from here
        self.finished = False  # we have said here that nothing more comes
        self.silent = False  # nothing more comes from here
        self.lost = False

    def begin(self) -> None:
        if self.transport.is_closing():
            self.connection_lost(None)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)
        self.resume()

    def finish(self, code: int) -> None:
        """Ends what goes out here, with a Close frame if one fits."""
        if self.finished:
            return
        self.finished = True
        if self.transport.is_closing():
            return
        if self.other.frames.between:
            self.transport.write(close_frame(code, masked=not self.is_browser))
        self.transport.write_eof()

    @property
    def unsent(self) -> int:
        return 0 if self.lost else self.transport.get_write_buffer_size()

    def resume(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()
            # An application that has left ends nothing while its last words are still being read.
            if self.is_browser:
                self._look_later()

    def _look_later(self) -> None:
        self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look_after)

    def _look_after(self) -> None:
        if nobody_is_there(self.transport):
            self.transport.abort()
        else:
            self._look_later()

    # What the event loop tells.

    def data_received(self, data: bytes) -> None:
        if self.other.finished:
            return
        passing = self.frames.passing(data)
        if passing:
            self.other.transport.write(passing)
        if self.frames.carried_data:
            self._tunnel.on_data()
        if self.frames.broken:
            self._tunnel.broken(self)

    def eof_received(self) -> bool:
        self.silent = True
        self._tunnel.ended(self)
        return True  # it may still be listening

    def connection_lost(self, exc: Exception | None) -> None:
        if self.lost:
            return
        if exc is not None:
            self.data_received(left_behind(self.transport))
        self.silent = self.finished = self.lost = True
        if self._look is not None:
            self._look.cancel()
        self.other.resume()
        self._tunnel.ended(self)

    def pause_writing(self) -> None:
        self.other.pause()

    def resume_writing(self) -> None:
        self.other.resume()
