"""What two programs could read differently is refused, in requests and in answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import PREFIX, Browser, FakeUpstream
from tests.unit.singleuser.raw import (
    OK,
    answer_to,
    answering,
    application,
    head,
)


class TestAmbiguousRequests:
    @pytest.mark.parametrize(
        "lines",
        [
            ["Content-Length: 4", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding: chunked", "Content-Length: 4"],
            ["Content-Length: 4", "Content-Length: 4"],
            ["Content-Length: 4, 4"],
            ["Content-Length: +4"],
            ["Content-Length: 0x4"],
            ["Content-Length: -1"],
            ["Content-Length: 4 4"],
            ["Content-Length: 99999999999999999999999"],
            ["Transfer-Encoding: gzip, chunked"],
            ["Transfer-Encoding: xchunked"],
            ["Transfer-Encoding: chunked, identity"],
            ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding : chunked"],
            ["Transfer-Encoding:\x0bchunked"],
            ["X: 1", " folded: 2"],
            ["X: 1\rContent-Length: 4"],
            ["X: 1\nContent-Length: 4"],
            ["X: a\x00b"],
            ["X\x00: 1"],
            ["X Y: 1"],
            [": nameless"],
            ["no colon"],
            ["Host: other"],
            ["X: " + "x" * 70_000],
            [f"X-{number}: {'x' * 1000}" for number in range(70)],
        ],
        ids=lambda lines: ascii(lines[0])[:40],
    )
    async def test_are_refused_and_nothing_after_them_is_read(
        self, alice: Browser, directory: Path, upstream: FakeUpstream, lines: list[str]
    ) -> None:
        smuggled = b"0\r\n\r\n" + head(alice, "GET", "smuggled")
        answer = await answer_to(directory, head(alice, "POST", "x", *lines) + smuggled)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert upstream.seen == []

    @pytest.mark.parametrize(
        "line",
        [
            "GET http://evil{}x HTTP/1.1",
            "GET {}x#fragment HTTP/1.1",
            "GET {}x\x80 HTTP/1.1",
            "GET {}a\tb HTTP/1.1",
            "GET {}a b HTTP/1.1",
            "CONNECT evil:80 HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET {}x HTTP/1.2",
            "GET {}x HTTP/2.0",
            "GET {}x",
            "G\x00T {}x HTTP/1.1",
            "PRI * HTTP/2.0",
        ],
    )
    async def test_so_are_ambiguous_first_lines(
        self, alice: Browser, directory: Path, upstream: FakeUpstream, line: str
    ) -> None:
        first = line.replace("{}", PREFIX).encode("latin-1")
        request = first + b"\r\n" + head(alice).partition(b"\r\n")[2]
        assert (await answer_to(directory, request)).startswith(b"HTTP/1.1 400 ")
        assert upstream.seen == []

    @pytest.mark.parametrize(
        "body",
        [
            b"5\r\nhelloXX0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"5 \x00\r\nhello\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\nhello",
            b"\r\nhello\r\n0\r\n\r\n",
            b"5;a=\n\r\nhello\r\n0\r\n\r\n",
        ],
    )
    async def test_so_are_broken_chunks(
        self, alice: Browser, directory: Path, upstream: FakeUpstream, body: bytes
    ) -> None:
        begin = head(alice, "POST", "count", "Transfer-Encoding: chunked")
        answer = await answer_to(directory, begin + body + head(alice, "GET", "smuggled"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert not any("smuggled" in path for path in upstream.seen)

    async def test_a_request_without_a_host_is_refused(
        self, running: Running, directory: Path
    ) -> None:
        request = f"GET {PREFIX}x HTTP/1.1\r\nX: 1\r\n\r\n".encode()
        assert (await answer_to(directory, request)).startswith(b"HTTP/1.1 400 ")


class TestAmbiguousAnswers:
    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
            b"HTTP/1.1 200 OK\r\nX: 1\rSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nX: without Upgrade\r\n\r\n" + OK,
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
            b"HTTP/1.1 103 Hints\r\nX: y\r\n\r\n" * 12_000,
            b"<html>",
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Le",
        ],
        ids=lambda answer: ascii(answer)[2:50],
    )
    async def test_are_a_bad_gateway(self, alice: Browser, directory: Path, answer: bytes) -> None:
        async with application(directory, answering(answer, close=True)):
            assert (await asyncio.wait_for(alice.get(PREFIX + "x"), 5)).status == 502

    async def test_what_follows_an_answer_is_nobodys(self, alice: Browser, directory: Path) -> None:
        evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        async with application(directory, answering(OK + evil)):
            for _ in range(3):
                assert await (await alice.get(PREFIX + "x")).read() == b"ok"

    async def test_a_body_after_head_is_nobodys(self, alice: Browser, directory: Path) -> None:
        async with application(directory, answering(OK)):
            for _ in range(3):
                assert await (await alice.request("HEAD", PREFIX + "x")).read() == b""
                assert await (await alice.get(PREFIX + "x")).read() == b"ok"
