"""HTTP/1.1 through the gateway, against an application and a client that misbehave on demand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from tests.unit.singleuser.conftest import Running
from tests.unit.singleuser.fakes import HOST, PREFIX, Browser, FakeUpstream
from tests.unit.singleuser.raw import (
    OK,
    Reader,
    Writer,
    answer_to,
    answering,
    application,
    connection,
    head,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BIG = 64 * 1024 * 1024


async def test_a_range_and_its_answer_pass(alice: Browser, directory: Path) -> None:
    asked: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/9\r\n"
            b"Accept-Ranges: bytes\r\nContent-Length: 3\r\n\r\ncde"
        )

    async with application(directory, serve):
        response = await alice.get(PREFIX + "x", Range="bytes=2-4", If_Range='"v1"')
        assert (response.status, await response.read()) == (206, b"cde")
    assert response.headers["Content-Range"] == "bytes 2-4/9"
    assert b"\r\nrange: bytes=2-4\r\n" in asked[0]
    assert b'\r\nif-range: "v1"\r\n' in asked[0]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: x\r\n\r\n", 304),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ],
)
async def test_an_answer_without_a_body_ends_at_once(
    alice: Browser, directory: Path, answer: bytes, status: int
) -> None:
    async with application(directory, answering(answer)):
        for _ in range(3):  # on a connection that is kept
            response = await asyncio.wait_for(alice.get(PREFIX + "x"), 5)
            assert (response.status, await response.read()) == (status, b"")


async def test_an_answer_to_head_may_promise_a_body(alice: Browser, directory: Path) -> None:
    promise = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
    async with application(directory, answering(promise)):
        for _ in range(3):
            response = await asyncio.wait_for(alice.request("HEAD", PREFIX + "x"), 5)
            assert response.headers["Content-Length"] == "500"
            assert await response.read() == b""


async def test_interim_answers_go_no_further(alice: Browser, directory: Path) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    async with application(directory, answering(hints + OK)):
        response = await alice.get(PREFIX + "x")
        assert (response.status, await response.read()) == (200, b"ok")
        assert "Link" not in response.headers


async def test_trailers_of_an_answer_are_dropped(alice: Browser, directory: Path) -> None:
    body = b"2\r\nok\r\n0\r\nSet-Cookie: jupyterhub-user-alice=x\r\nX-T: 1\r\n\r\n"
    async with application(directory, answering(CHUNKED + body)):
        for _ in range(2):
            response = await alice.get(PREFIX + "x")
            assert await response.read() == b"ok"
            assert "X-T" not in response.headers


async def test_trailers_of_a_request_are_dropped_before_anybody_believes_them(
    alice: Browser, directory: Path
) -> None:
    begin = head(alice, "POST", "x", "Transfer-Encoding: chunked", "Connection: close")
    body = b"2\r\nab\r\n0\r\nX-Late: 1\r\nCookie: late=1\r\n\r\n"
    answer = await answer_to(directory, begin + body)
    assert b'"body": "ab"' in answer
    assert b"late" not in answer.lower()


async def test_a_session_cannot_arrive_in_a_trailer(
    alice: Browser, directory: Path, upstream: FakeUpstream
) -> None:
    begin = f"POST {PREFIX}x HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n"
    late = f"0\r\nCookie: {alice.headers({})['Cookie']}\r\nX-XSRFToken: {alice.cookies['_xsrf']}"
    request = f"{begin}Connection: close\r\n\r\n{late}\r\n\r\n".encode()
    assert (await answer_to(directory, request)).startswith(b"HTTP/1.1 403 ")
    assert upstream.seen == []


async def test_a_body_is_sent_when_the_application_asks_for_it(
    alice: Browser, directory: Path
) -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\nexpect: 100-continue\r\n" in request
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.write(OK if await reader.readexactly(3) == b"abc" else b"")

    begin = head(alice, "PUT", "x", "Content-Length: 3", "Expect: 100-continue")
    async with application(directory, serve), connection(directory) as (reader, writer):
        writer.write(begin)
        leave = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 0.9)
        assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_the_application_refuses_is_never_asked_for(
    alice: Browser, directory: Path
) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    begin = head(alice, "PUT", "x", "Content-Length: 3", "Expect: 100-continue")
    async with (
        application(directory, answering(refusal)),
        connection(directory) as (reader, writer),
    ):
        writer.write(begin)
        assert (await reader.readuntil(b"no")).startswith(b"HTTP/1.1 413 ")


async def test_an_application_that_knows_no_expectations_gets_the_body(
    alice: Browser, directory: Path
) -> None:
    begin = head(alice, "PUT", "x", "Content-Length: 3", "Expect: 100-continue")
    async with connection(directory) as (reader, writer):

        async def serve(up: Reader, down: Writer) -> None:
            await up.readuntil(b"\r\n\r\n")
            await up.readexactly(3)
            down.write(OK)

        async with application(directory, serve):
            writer.write(begin + b"abc")
            answer = await asyncio.wait_for(reader.readuntil(b"ok"), 5)
    assert b" 200 OK" in answer


async def test_what_the_proxy_says_of_the_way_passes(alice: Browser) -> None:
    told = {
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "lab.example",
        "X-Forwarded-Port": "443",
        "Forwarded": "for=192.0.2.7;proto=https",
    }
    forged = {"X_FORWARDED_PROTO": "ftp", "x_real_ip": "::1"}
    response = await alice.get(PREFIX + "x", **told)
    assert response.status == 200
    response = await alice.client.get(
        f"http://server{PREFIX}x", headers=alice.headers({}) | told | forged
    )
    seen = {name.lower(): value for name, value in (await response.json())["headers"]}
    assert {name: seen[name.lower()] for name in told} == told
    assert {"x_forwarded_proto", "x_real_ip"}.isdisjoint(seen)


async def test_hop_by_hop_headers_of_an_answer_stay_on_their_hop(
    alice: Browser, directory: Path
) -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nconnection: x-other\r\n"
        b"X-Hop: 1\r\nX-Other: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"
        b'Trailer: X-T\r\nUpgrade: h2c\r\nClear-Site-Data: "*"\r\nService-Worker-Allowed: /\r\n'
        b"X-End: kept\r\nContent-Length: 2\r\n\r\nok"
    )
    async with application(directory, answering(answer)):
        response = await alice.get(PREFIX + "x")
    names = {name.lower() for name in response.headers}
    assert names == {"x-end", "content-length", "x-jupyterhub-version", "date"}


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/login?next=%2F", f"{PREFIX}login?next=%2F"),
        ("/", PREFIX),
        (f"{PREFIX}lab", f"{PREFIX}lab"),
        ("/%40/my%20lab/user/alice/lab", "/%40/my%20lab/user/alice/lab"),
        ("/@/my%20lab/user/alicex/", f"{PREFIX}@/my%20lab/user/alicex/"),
        ("/@/my%20lab/hub/logout", "/@/my%20lab/hub/logout"),
        ("login", "login"),
        ("?page=2", "?page=2"),
        (f"http://{HOST}/login", f"{PREFIX}login"),
        (f"https://{HOST}", PREFIX),
        (f"http://{HOST}?a=/", f"{PREFIX}?a=/"),
        (f"http://{HOST}{PREFIX}lab#x", f"{PREFIX}lab#x"),
        ("https://docs.example/x", "https://docs.example/x"),
        (f"http://{HOST}@evil.example/", f"http://{HOST}@evil.example/"),
        (f"http://{HOST}//evil.example/", f"http://{HOST}//evil.example/"),
        ("//docs.example/x", "//docs.example/x"),
    ],
)
async def test_redirects_stay_under_the_prefix(
    alice: Browser, directory: Path, sent: str, seen: str
) -> None:
    answer = f"HTTP/1.1 302 Found\r\nLocation: {sent}\r\nContent-Length: 0\r\n\r\n".encode()
    async with application(directory, answering(answer)):
        assert (await alice.get(PREFIX + "x")).headers["Location"] == seen


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("a=1", "a=1"),
        ("a=1; Path=/; HttpOnly", f"a=1; Path={PREFIX}; HttpOnly"),
        ("a=1;path=/sub;Secure", f"a=1; Path={PREFIX}sub;Secure"),
        (f"a=1; Path={PREFIX}lab", f"a=1; Path={PREFIX}lab"),
        ("a=1; Path=/@/my%20lab/hub/", f"a=1; Path={PREFIX}@/my%20lab/hub/"),
        ("a=1; Domain=lab.example; Path=relative", "a=1; Path=relative"),
        (
            "a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT",
            "a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT",
        ),
        ("jupyterhub-user-alice=stolen; Path=/", None),
        ("jupyterhub-session-id=fixed", None),
        ("__Host-jupyterhub-user-alice=stolen", None),
        (" _xsrf =tossed", None),
        ("=_xsrf=tossed", None),
        ("= jupyterhub-hub-login=x", None),
    ],
)
async def test_cookies_keep_to_the_prefix_and_leave_ours_alone(
    alice: Browser, directory: Path, sent: str, seen: str | None
) -> None:
    answer = f"HTTP/1.1 200 OK\r\nSet-Cookie: {sent}\r\nContent-Length: 0\r\n\r\n".encode()
    async with application(directory, answering(answer)):
        response = await alice.client.get(
            f"http://server{PREFIX}x", headers=alice.headers({}), allow_redirects=False
        )
    assert response.headers.getall("Set-Cookie", []) == ([] if seen is None else [seen])


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


class TestBreakingOff:
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
    async def test_an_answer_that_breaks_off_is_seen_to(
        self, alice: Browser, directory: Path, begun: bytes
    ) -> None:
        async with application(directory, answering(begun, close=True)):
            response = await alice.get(PREFIX + "x")
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    async def test_an_answer_may_end_with_the_connection(
        self, alice: Browser, directory: Path
    ) -> None:
        async with application(directory, answering(b"HTTP/1.0 200 OK\r\n\r\nold", close=True)):
            assert await (await alice.get(PREFIX + "x")).read() == b"old"

    async def test_a_client_that_leaves_during_its_upload_is_noticed(
        self, alice: Browser, directory: Path
    ) -> None:
        left = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\nabc")
            await reader.read()
            left.set()

        async with application(directory, serve):
            async with connection(directory) as (_, writer):
                writer.write(head(alice, "PUT", "x", "Content-Length: 9") + b"abc")
                await writer.drain()
                await asyncio.sleep(0.05)
            await asyncio.wait_for(left.wait(), 5)

    async def test_a_client_that_leaves_during_its_download_is_noticed(
        self, alice: Browser, directory: Path
    ) -> None:
        left = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
            try:
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            finally:
                left.set()

        async with application(directory, serve):
            async with connection(directory) as (reader, writer):
                writer.write(head(alice))
                await reader.readexactly(100_000)
            await asyncio.wait_for(left.wait(), 5)

    async def test_an_application_that_stops_reading_an_upload_may_still_answer(
        self, alice: Browser, directory: Path
    ) -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(head(alice, "PUT", "x", f"Content-Length: {BIG}") + b"x" * 1000)
            assert (await asyncio.wait_for(reader.readuntil(b"no"), 5)).startswith(b"HTTP/1.1 413")


class TestBackpressure:
    async def test_a_slow_client_slows_the_application(
        self, alice: Browser, directory: Path
    ) -> None:
        sent = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent[0] += 65536

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(head(alice))
            await reader.readexactly(1000)
            await settled(sent)
            assert sent[0] < 8 * 1024 * 1024

    async def test_a_slow_application_slows_the_client(
        self, alice: Browser, directory: Path
    ) -> None:
        sent = [0]

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(60)

        async def push(writer: Writer) -> None:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent[0] += 65536

        async with application(directory, serve), connection(directory) as (_, writer):
            writer.write(head(alice, "PUT", "x", f"Content-Length: {BIG}"))
            pushing = asyncio.create_task(push(writer))
            await settled(sent)
            pushing.cancel()
            assert 0 < sent[0] < 8 * 1024 * 1024


async def settled(counter: list[int]) -> None:
    """Waits until a counter that runs has come to rest."""
    before = -1
    while counter[0] != before:
        before = counter[0]
        await asyncio.sleep(0.3)


async def test_pipelined_requests_are_answered_in_order(alice: Browser, directory: Path) -> None:
    last = head(alice, "GET", "three", "Connection: close")
    answer = await answer_to(
        directory, head(alice, "GET", "one") + head(alice, "GET", "two") + last
    )
    places = [answer.index(b'"target": "/%b"' % name) for name in (b"one", b"two", b"three")]
    assert places == sorted(places)


async def test_a_connection_to_the_application_is_used_again_and_then_let_go(
    alice: Browser, directory: Path, running: Running
) -> None:
    made = [0]

    async def serve(reader: Reader, writer: Writer) -> None:
        made[0] += 1
        await answering(OK)(reader, writer)

    async with application(directory, serve):
        for _ in range(5):
            assert await (await alice.get(PREFIX + "x")).read() == b"ok"
    assert made == [1]
