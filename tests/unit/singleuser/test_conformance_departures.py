"""Either side goes away, at any moment: the other one learns of it, and nothing is left over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import PREFIX, Browser, FakeUpstream
from tests.unit.singleuser.raw import (
    OK,
    Reader,
    Writer,
    answering,
    application,
    connection,
    head,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"x" * 65536
BIG = 64 * 1024 * 1024
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 100000\r\n\r\n" + b"y" * 100_000


class Silent:
    """An application that reads so much of a request, says so, and then waits for the end of it."""

    def __init__(self, until: bytes = b"\r\n\r\n", says: bytes = b"") -> None:
        self._until, self._says = until, says
        self.asked, self.left = asyncio.Event(), asyncio.Event()

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        await reader.readuntil(self._until)
        writer.write(self._says)
        self.asked.set()
        while await reader.read(65536):
            pass
        writer.close()
        self.left.set()


class TestTheBrowser:
    @pytest.mark.parametrize("said", [b"", b"GE", b"GET / HTTP/1.1\r\nHost: x\r\nCoo"])
    async def test_before_it_has_asked_for_anything(
        self, directory: Path, running: Running, upstream: FakeUpstream, said: bytes
    ) -> None:
        async with connection(directory) as (_, writer):
            writer.write(said)
            await writer.drain()
        await running.at_rest()
        assert upstream.seen == []

    @pytest.mark.parametrize(
        ("lines", "body", "says"),
        [
            ([], b"", b""),
            ([], b"", b"HTTP/1.1 200 OK\r\nContent-Le"),
            ([], b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            ([], b"", CHUNKED + b"5\r\nhel"),
            (["Content-Length: 9"], b"abc", b""),
            (["Content-Length: 3"], b"abc", b""),
            (["Content-Length: 9"], b"abc", CHUNKED + b"5\r\nhel"),
            (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n", b""),
            (["Transfer-Encoding: chunked"], b"9\r\nabc", b""),
            (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n", b""),
            (["Content-Length: 9", "Expect: 100-continue"], b"", b""),
            (["Content-Length: 9", "Expect: 100-continue"], b"abc", b"HTTP/1.1 100 Go\r\n\r\n"),
        ],
        ids=ascii,
    )
    async def test_while_it_is_asking_or_being_answered(
        self,
        alice: Browser,
        directory: Path,
        running: Running,
        lines: list[str],
        body: bytes,
        says: bytes,
    ) -> None:
        silent = Silent(says=says)
        async with application(directory, silent):
            async with connection(directory) as (_, writer):
                writer.write(head(alice, "PUT" if lines else "GET", "x", *lines) + body)
                await silent.asked.wait()
            await asyncio.wait_for(silent.left.wait(), 5)
            await running.at_rest()

    async def test_in_the_middle_of_a_download(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        left = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
            try:
                while True:
                    writer.write(PIECE)
                    await writer.drain()
            finally:
                left.set()

        async with application(directory, serve):
            async with connection(directory) as (reader, writer):
                writer.write(head(alice))
                await reader.readexactly(100_000)
            await asyncio.wait_for(left.wait(), 5)
            await running.at_rest()

    async def test_from_an_application_that_reads_nothing_of_its_upload(
        self,
        alice: Browser,
        directory: Path,
        running: Running,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.browser.LOOK_EVERY", 0.1)

        async def serve(reader: Reader, writer: Writer) -> None:
            await asyncio.get_running_loop().create_future()

        async with application(directory, serve):
            async with connection(directory) as (_, writer):
                writer.write(head(alice, "PUT", "x", f"Content-Length: {BIG}") + b"x" * BIG)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(writer.drain(), 0.5)
            await running.at_rest()

    async def test_while_another_of_its_requests_waits_its_turn(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        silent = Silent()
        async with application(directory, silent):
            async with connection(directory) as (_, writer):
                writer.write(head(alice) + head(alice))
                await silent.asked.wait()
            await asyncio.wait_for(silent.left.wait(), 5)
            await running.at_rest()


class TestTheApplication:
    @pytest.mark.parametrize("kept", [False, True])
    @pytest.mark.parametrize("said", [b"", b"HT", b"HTTP/1.1 200 OK\r\nContent-Le"])
    async def test_before_its_answer_has_a_head(
        self, alice: Browser, directory: Path, running: Running, said: bytes, kept: bool
    ) -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            if kept and not known:
                known.append(1)
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            writer.close()

        known: list[int] = []
        async with application(directory, serve):
            if kept:
                assert await (await alice.get(PREFIX + "x")).read() == b"ok"
            response = await alice.get(PREFIX + "x")
            assert (response.status, bool(await response.read())) == (502, True)
            await running.at_rest()

    @pytest.mark.parametrize(
        "begun",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            CHUNKED,
            CHUNKED + b"5\r\nhello\r\n",
            CHUNKED + b"5\r\nhel",
            CHUNKED + b"5\r\nhello\r\n0\r\n",
            CHUNKED + b"5\r\nhelloXX",
        ],
        ids=ascii,
    )
    async def test_in_the_middle_of_its_answer(
        self, alice: Browser, directory: Path, running: Running, begun: bytes
    ) -> None:
        async with application(directory, answering(begun, close=True)):
            response = await alice.get(PREFIX + "x")
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
            await running.at_rest()

    async def test_where_the_end_of_the_connection_ends_its_answer(
        self, alice: Browser, directory: Path
    ) -> None:
        async with application(directory, answering(b"HTTP/1.0 200 OK\r\n\r\nold", close=True)):
            assert await (await alice.get(PREFIX + "x")).read() == b"old"

    async def test_while_it_is_sent_an_upload(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readexactly(100_000)
            writer.transport.abort()

        request = head(alice, "PUT", "x", f"Content-Length: {BIG}", "Connection: close")
        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(request + b"x" * 1_000_000)
            assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 502 ")
        await running.at_rest()
