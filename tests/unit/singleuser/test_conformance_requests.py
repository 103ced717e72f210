"""What of a browser's request reaches the application, and in which form."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
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


async def test_every_header_keeps_its_place_and_repeated_ones_stay_apart(
    alice: Browser, directory: Path
) -> None:
    asked: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    lines = ["b: 1", "accept: a", "a: 1", "b: 2", "accept: b, c", "x-empty: ", "z: tab\there"]
    async with application(directory, serve), connection(directory) as (reader, writer):
        writer.write(head(alice, "GET", "x", *lines))
        await asyncio.wait_for(reader.readuntil(b"ok"), 5)
    seen = asked[0].decode().split("\r\n")
    assert seen[0] == "GET /x HTTP/1.1"
    own = ("x-forwarded-", "host: ")
    assert [line for line in seen[1:] if line and not line.startswith(own)] == lines


async def test_hop_by_hop_headers_of_a_request_stay_on_their_hop(
    alice: Browser, directory: Path
) -> None:
    asked: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)

    lines = [
        "Connection: X-Hop , keep-alive",
        "connection: X-OTHER",
        "X-Hop: 1",
        "x-other: 1",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: websocket",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic x",
        "X-End: kept",
    ]
    async with application(directory, serve), connection(directory) as (reader, writer):
        writer.write(head(alice, "GET", "x", *lines))
        await asyncio.wait_for(reader.readuntil(b"ok"), 5)
    names = [line.partition(":")[0] for line in asked[0].decode().split("\r\n")[1:] if line]
    assert sorted(name for name in names if not name.startswith("x-forwarded-")) == [
        "host",
        "x-end",
    ]


@pytest.mark.parametrize("framing", ["Content-Length: 30", "Transfer-Encoding: chunked"])
async def test_both_sides_may_speak_at_the_same_time(
    alice: Browser, directory: Path, framing: str
) -> None:
    chunked = framing.startswith("T")

    def piece(number: int) -> bytes:
        return b"3\r\n%03d\r\n" % number if chunked else b"%03d" % number

    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
        for number in range(10):
            assert await reader.readexactly(len(piece(number))) == piece(number)
            writer.write(b"%03d" % number)
        if chunked:
            assert await reader.readexactly(5) == b"0\r\n\r\n"

    async with application(directory, serve), connection(directory) as (reader, writer):
        writer.write(head(alice, "PUT", "x", framing))
        await asyncio.sleep(0)
        for number in range(10):
            writer.write(piece(number))
            if number == 0:
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert await asyncio.wait_for(reader.readexactly(3), 5) == b"%03d" % number
        writer.write(b"0\r\n\r\n" if chunked else b"")


async def test_an_answer_without_leave_ends_the_connection(alice: Browser, directory: Path) -> None:
    """Whether the body comes after all nobody knows, nor what the next bytes would be."""
    refusal = b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"
    begin = head(alice, "PUT", "x", "Content-Length: 1000", "Expect: 100-continue")
    async with application(directory, answering(refusal)):
        answer = await answer_to(directory, begin + head(alice, "GET", "smuggled"))
    assert answer.startswith(b"HTTP/1.1 417 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1
