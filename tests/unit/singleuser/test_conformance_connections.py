"""Connections: kept, dropped, used again, shared by requests, and not held open for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import PREFIX, Browser, FakeUpstream
from tests.unit.singleuser.raw import (
    OK,
    Reader,
    Writer,
    answer_to,
    answering,
    application,
    connection,
    eventually,
    head,
)

from unixspawner_singleuser.catalogue import Upstream
from unixspawner_singleuser.upstreams import Upstreams

LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Counting:
    """An application whose first connection answers once, and then does as told."""

    def __init__(self, then: Callable[[Reader, Writer], object]) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._then = then

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        self.connections += 1
        first = self.connections == 1
        while True:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            if self.requests[-1].startswith(b"P"):
                await reader.readexactly(3)
            if first and len(self.requests) > 1:
                self._then(reader, writer)
                return
            writer.write(OK[:-2] if self.requests[-1].startswith(b"HEAD") else OK)


def hangs_up(reader: Reader, writer: Writer) -> None:
    writer.close()


def hangs_up_hard(reader: Reader, writer: Writer) -> None:
    writer.transport.abort()


def says_late(reader: Reader, writer: Writer) -> None:
    writer.write(LATE)
    writer.close()


def says_half(reader: Reader, writer: Writer) -> None:
    writer.write(OK[:20])
    writer.close()


class TestToTheApplication:
    async def test_one_is_enough_for_one_request_after_the_other(
        self, alice: Browser, directory: Path
    ) -> None:
        app = Counting(hangs_up)
        app.connections = 1  # every one of its answers is as good as the first
        async with application(directory, app):
            for method in ("GET", "HEAD", "OPTIONS", "GET"):
                await (await alice.request(method, PREFIX + "x")).read()
        assert (app.connections, len(app.requests)) == (2, 4)

    @pytest.mark.parametrize("then", [hangs_up, hangs_up_hard, says_late])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    async def test_a_reading_request_that_meets_its_end_is_sent_again(
        self,
        alice: Browser,
        directory: Path,
        method: str,
        then: Callable[[Reader, Writer], object],
    ) -> None:
        app = Counting(then)
        async with application(directory, app):
            for _ in range(3):
                response = await alice.request(method, PREFIX + "x")
                assert (response.status, await response.read()) == (
                    200,
                    b"" if method == "HEAD" else b"ok",
                )
        assert (app.connections, len(app.requests)) == (2, 4)

    async def test_one_that_was_half_answered_is_not(self, alice: Browser, directory: Path) -> None:
        app = Counting(says_half)
        async with application(directory, app):
            assert await (await alice.get(PREFIX + "x")).read() == b"ok"
            response = await alice.get(PREFIX + "x")
            assert (response.status, bool(await response.read())) == (502, True)
        assert (app.connections, len(app.requests)) == (1, 2)

    async def test_nor_one_that_fails_again(self, alice: Browser, directory: Path) -> None:
        asked = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked[0] += 1
            writer.write(OK if asked[0] == 1 else b"")
            if asked[0] == 1:
                await reader.readuntil(b"\r\n\r\n")
                asked[0] += 1
            writer.close()

        async with application(directory, serve):
            assert await (await alice.get(PREFIX + "x")).read() == b"ok"
            response = await alice.get(PREFIX + "x")
            assert (response.status, bool(await response.read())) == (502, True)
        assert asked == [3]

    @pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE"])
    async def test_what_changes_something_is_never_sent_into_a_kept_one(
        self, alice: Browser, directory: Path, method: str
    ) -> None:
        app = Counting(hangs_up)
        xsrf = {"X_XSRFToken": alice.cookies["_xsrf"]}
        data = b"abc" if method.startswith("P") else None
        async with application(directory, app), asyncio.timeout(10):
            for _ in range(3):
                response = await alice.request(method, PREFIX + "x", data=data, **xsrf)
                assert (response.status, await response.read()) == (200, b"ok")
        assert (app.connections, len(app.requests)) == (3, 3)

    @pytest.mark.parametrize("noise", [LATE, b"\r\n", b"HTTP/1.1 200 OK\r\n\r\nevil"])
    async def test_one_on_which_something_came_unasked_is_not_used_again(
        self, alice: Browser, directory: Path, running: Running, noise: bytes
    ) -> None:
        made, idle = [0], running.application.gateway._upstreams._idle

        async def serve(reader: Reader, writer: Writer) -> None:
            made[0] += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await eventually(lambda: any(idle.values()))
            writer.write(noise)
            await reader.read()

        async with application(directory, serve):
            for _ in range(3):
                response = await alice.get(PREFIX + "x")
                assert (response.status, await response.read()) == (200, b"ok")
                await eventually(
                    lambda: not any(one.is_open for all in idle.values() for one in all)
                )
        assert made == [3]

    @pytest.mark.parametrize(
        ("answer", "connections"),
        [
            (OK, 1),
            (OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1), 3),
            (OK.replace(b"1.1", b"1.0"), 3),
            (OK.replace(b"1.1", b"1.0").replace(b"OK\r\n", b"OK\r\nConnection: keep-alive\r\n"), 1),
            (OK + OK, 3),
        ],
        ids=ascii,
    )
    async def test_it_is_kept_if_the_application_says_so(
        self, alice: Browser, directory: Path, answer: bytes, connections: int
    ) -> None:
        made = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            made[0] += 1
            await answering(answer)(reader, writer)

        async with application(directory, serve):
            for _ in range(3):
                assert await (await alice.get(PREFIX + "x")).read() == b"ok"
        assert made == [connections]

    async def test_small_pieces_are_not_held_back(self, directory: Path) -> None:
        """Nagle's algorithm would keep one waiting for the answer to the one before."""
        upstreams = Upstreams()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            place = Upstream(host="127.0.0.1", port=listener.getsockname()[1])
            made = await upstreams.connect(place)
            ours = made._transport.get_extra_info("socket")
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            made.close()


class TestFromTheBrowser:
    async def test_requests_that_come_together_are_answered_in_order(
        self, alice: Browser, directory: Path
    ) -> None:
        last = head(alice, "GET", "three", "Connection: close")
        answer = await answer_to(
            directory, head(alice, "GET", "one") + head(alice, "GET", "two") + last
        )
        places = [answer.index(b'"target": "/%b"' % name) for name in (b"one", b"two", b"three")]
        assert places == sorted(places)

    async def test_nothing_gets_into_the_middle_of_an_answer(
        self, alice: Browser, directory: Path
    ) -> None:
        begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
        async with (
            application(directory, answering(begun)),
            connection(directory) as (reader, writer),
        ):
            writer.write(head(alice))
            await asyncio.wait_for(reader.readuntil(b"hello"), 5)
            writer.write(b"!!! not http\r\n\r\n")
            assert await asyncio.wait_for(reader.read(), 5) == b""

    @pytest.mark.parametrize(
        ("begun", "drop"),
        [(b"", b""), (b"\r\n", b"\r\n"), (b"GET /", b"x"), (b"GET / HTTP/1.1\r\nX: ", b"x")],
    )
    async def test_a_head_has_to_come_in_time(
        self,
        running: Running,
        directory: Path,
        monkeypatch: pytest.MonkeyPatch,
        begun: bytes,
        drop: bytes,
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.protocol.HEAD_TIMEOUT", 0.2)
        async with connection(directory) as (reader, writer):
            writer.write(begun)
            async with asyncio.timeout(2):
                while not (reader.at_eof() or writer.transport.is_closing()):
                    writer.write(drop)
                    await asyncio.sleep(0.05)

    async def test_a_second_head_too(
        self, alice: Browser, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.protocol.HEAD_TIMEOUT", 0.2)
        async with (
            application(directory, answering(OK)),
            connection(directory) as (reader, writer),
        ):
            writer.write(head(alice))
            await reader.readuntil(b"ok")
            writer.write(head(alice)[:-3])
            assert await asyncio.wait_for(reader.read(), 2) == b""

    async def test_a_body_and_an_answer_have_all_the_time(
        self, alice: Browser, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.protocol.HEAD_TIMEOUT", 0.1)

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\nabc")
            await asyncio.sleep(0.3)
            writer.write(OK)

        async with application(directory, serve), connection(directory) as (reader, writer):
            begin = head(alice, "PUT", "x", "Content-Length: 3")
            writer.write(begin[:-10])
            await asyncio.sleep(0)
            writer.write(begin[-10:] + b"a")
            await asyncio.sleep(0.3)
            writer.write(b"bc")
            await asyncio.wait_for(reader.readuntil(b"ok"), 5)

    async def test_it_may_be_idle_for_longer_than_a_head_may_take(
        self, alice: Browser, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The proxy keeps its connections for half a minute."""
        monkeypatch.setattr("unixspawner_singleuser.protocol.HEAD_TIMEOUT", 0.1)
        async with (
            application(directory, answering(OK)),
            connection(directory) as (reader, writer),
        ):
            for _ in range(2):
                writer.write(head(alice))
                await asyncio.wait_for(reader.readuntil(b"ok"), 5)
                await asyncio.sleep(0.3)

    async def test_a_websocket_may_be_idle_too(
        self, alice: Browser, upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.protocol.HEAD_TIMEOUT", 0.1)
        opened = await alice.open(PREFIX + "ws")
        await asyncio.sleep(0.3)
        await opened.send_str("still here")
        assert await opened.receive_str() == "still here"
        await opened.close()
