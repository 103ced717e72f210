"""How a WebSocket begins: what is taken for a handshake, and what an application makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
from tests.unit.singleuser.raw_websocket import (
    KEY,
    TEXT,
    accepted,
    accepting,
    frame,
    handshake,
    received,
    sent,
)

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]
VERSION = "Sec-WebSocket-Version: 13"
SMUGGLED = f"GET {PREFIX}smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


async def nothing(reader: Reader, writer: Writer) -> None:
    await reader.read()


class TestTheBrowsersHalf:
    @pytest.mark.parametrize(
        ("method", "lines"),
        [
            ("POST", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}"]),
            ("GET", [*UPGRADE, VERSION]),
            ("GET", [*UPGRADE, VERSION, "Sec-WebSocket-Key: c2hvcnQ="]),
            ("GET", [*UPGRADE, VERSION, "Sec-WebSocket-Key: " + "A" * 24]),
            ("GET", [*UPGRADE, VERSION, *2 * [f"Sec-WebSocket-Key: {KEY}"]]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}, {KEY}"]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}", "Content-Length: 4"]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}", "Content-Length: 0"]),
            ("GET", [*UPGRADE, VERSION, f"Sec-WebSocket-Key: {KEY}", "Transfer-Encoding: chunked"]),
            ("GET", [*UPGRADE, "Upgrade: h2c", VERSION, f"Sec-WebSocket-Key: {KEY}"]),
            ("GET", [UPGRADE[0], "Upgrade: h2c, WebSocket", VERSION, f"Sec-WebSocket-Key: {KEY}"]),
        ],
        ids=lambda value: ascii(value)[-60:],
    )
    async def test_anything_but_a_plain_handshake_is_refused(
        self,
        alice: Browser,
        directory: Path,
        upstream: FakeUpstream,
        method: str,
        lines: list[str],
    ) -> None:
        request = head(alice, method, "ws", *lines) + SMUGGLED
        answer = await answer_to(directory, request)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert upstream.seen == []

    async def test_so_is_one_in_an_old_version_of_http(
        self, alice: Browser, directory: Path, upstream: FakeUpstream
    ) -> None:
        old = handshake(alice).replace(b" HTTP/1.1", b" HTTP/1.0", 1)
        assert (await answer_to(directory, old)).startswith(b"HTTP/1.1 400 ")
        assert upstream.seen == []

    @pytest.mark.parametrize("version", ["8", "14", "13, 8", "", None])
    async def test_another_version_is_told_ours(
        self, alice: Browser, directory: Path, upstream: FakeUpstream, version: str | None
    ) -> None:
        line = [] if version is None else [f"Sec-WebSocket-Version: {version}"]
        request = head(alice, "GET", "ws", *UPGRADE, *line, f"Sec-WebSocket-Key: {KEY}")
        answer = await answer_to(directory, request)
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nsec-websocket-version: 13\r\n" in answer
        assert upstream.seen == []

    @pytest.mark.parametrize("protocol", ["h2c", "TLS/1.0", "websockets"])
    async def test_no_other_protocol_is_changed_to(
        self, alice: Browser, directory: Path, upstream: FakeUpstream, protocol: str
    ) -> None:
        lines = ["Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: A"]
        answer = await answer_to(directory, head(alice, "GET", "x", *lines) + SMUGGLED)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"upgrade" not in answer.lower()
        assert b"http2-settings" not in answer.lower()
        assert upstream.seen == ["/x"]

    async def test_a_body_before_another_protocol_is_refused(
        self, alice: Browser, directory: Path, upstream: FakeUpstream
    ) -> None:
        request = head(
            alice, "POST", "x", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 3"
        )
        answer = await answer_to(directory, request + b"abc" + SMUGGLED)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert upstream.seen == []

    async def test_a_handshake_waits_for_no_earlier_answer(
        self, alice: Browser, directory: Path, upstream: FakeUpstream
    ) -> None:
        answer = await answer_to(directory, head(alice, "GET", "slow") + handshake(alice))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert "/ws" not in upstream.seen

    async def test_what_comes_early_is_not_lost(self, alice: Browser, directory: Path) -> None:
        pieces = [sent(TEXT, b"one"), sent(TEXT, b"two")[:5], sent(TEXT, b"two")[5:]]

        async def talk(reader: Reader, writer: Writer) -> None:
            heard = [(await received(reader))[1] for _ in range(2)]
            writer.write(frame(TEXT, b"+".join(heard)))

        connected = asyncio.Event()
        asked = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            connected.set()
            await asked.wait()
            await accepted(talk)(reader, writer)

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice) + pieces[0])
            await connected.wait()
            writer.write(pieces[1])
            await writer.drain()
            asked.set()
            await reader.readuntil(b"\r\n\r\n")
            writer.write(pieces[2])
            assert await received(reader) == (TEXT, b"one+two")

    async def test_too_much_too_early_waits_in_its_own_memory(
        self, alice: Browser, directory: Path
    ) -> None:
        gone = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == b""
            gone.set()

        async with application(directory, serve), connection(directory) as (_, writer):
            writer.write(handshake(alice) + sent(TEXT, b"x" * 8_000_000))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(writer.drain(), 0.5)

    async def test_a_browser_that_leaves_meanwhile_is_noticed(
        self, alice: Browser, directory: Path
    ) -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            assert await reader.read() == b""
            left.set()

        async with application(directory, serve):
            async with connection(directory) as (_, writer):
                writer.write(handshake(alice))
                await asked.wait()
            await asyncio.wait_for(left.wait(), 5)

    async def test_signing_out_meanwhile_ends_it(self, alice: Browser, directory: Path) -> None:
        asked, left = asyncio.Event(), asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            assert await reader.read() == b""
            left.set()

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice))
            await asked.wait()
            await alice.get(PREFIX + "logout")
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer.startswith(b"HTTP/1.1 502 ")
            await asyncio.wait_for(left.wait(), 5)

    async def test_a_stop_meanwhile_ends_it(
        self, alice: Browser, directory: Path, running: Running
    ) -> None:
        asked = asyncio.Event()

        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice))
            await asked.wait()
            assert await running.stop() < 0.5
            assert (await reader.read()).startswith(b"HTTP/1.1 502 ")


class TestTheApplicationsHalf:
    async def test_the_handshake_is_the_browsers_own(self, alice: Browser, directory: Path) -> None:
        seen = []

        async def serve(reader: Reader, writer: Writer) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(
                accepting(
                    "Sec-WebSocket-Protocol: v1",
                    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10",
                    "Set-Cookie: a=1; Path=/",
                    "Set-Cookie: b=2",
                    "Set-Cookie: jupyterhub-user-alice=stolen",
                    "X-Own: kept",
                )
            )

        offers = [
            "Sec-WebSocket-Protocol: v2, v1",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-other",
            "X-Forwarded-User: mallory",
        ]
        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice, *offers))
            answer = await reader.readuntil(b"\r\n\r\n")
        lines = seen[0].decode().split("\r\n")
        assert lines[0] == "GET /ws HTTP/1.1"
        assert {
            f"sec-websocket-key: {KEY}",
            "sec-websocket-version: 13",
            "sec-websocket-protocol: v2, v1",
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits, x-other",
            f"host: {HOST}",
        } <= set(lines)
        assert [line for line in lines if line.startswith(("connection:", "upgrade:"))] == [
            "connection: Upgrade",
            "upgrade: websocket",
        ]
        assert "x-forwarded-user: mallory" not in lines
        told = [line for line in answer.decode().split("\r\n") if not line.startswith("date: ")]
        assert told[0] == "HTTP/1.1 101 Switching Protocols"
        assert [line for line in told[1:] if line and "x-jupyterhub-version" not in line] == [
            "connection: Upgrade",
            "upgrade: websocket",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "sec-websocket-protocol: v1",
            "sec-websocket-extensions: permessage-deflate; server_max_window_bits=10",
            f"set-cookie: a=1; Path={PREFIX}",
            "set-cookie: b=2",
            "x-own: kept",
        ]

    @pytest.mark.parametrize(
        "answer",
        [
            accepting(key="AAAAAAAAAAAAAAAAAAAAAA=="),
            accepting().replace(b"Sec-WebSocket-Accept", b"X-Other"),
            accepting("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            accepting().replace(b"Upgrade: websocket", b"Upgrade: h2c"),
            accepting().replace(b"Upgrade: websocket", b"Upgrade: websocket, h2c"),
            accepting().replace(b"Upgrade: websocket\r\n", b""),
            accepting().replace(b"Connection: Upgrade\r\n", b""),
            accepting("Sec-WebSocket-Protocol: v3"),
            accepting("Sec-WebSocket-Protocol: v1", "Sec-WebSocket-Protocol: v2"),
            accepting("Sec-WebSocket-Extensions: permessage-deflate"),
            accepting("Content-Length: 5") + b"hello",
            accepting("Transfer-Encoding: chunked") + b"0\r\n\r\n",
            accepting().replace(b"HTTP/1.1", b"HTTP/2.0"),
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 999 Odd\r\n\r\n",
            b"<html>",
            b"",
            accepting()[:-2],
        ],
        ids=lambda answer: ascii(answer)[-60:],
    )
    async def test_what_is_no_agreement_is_a_bad_gateway(
        self, alice: Browser, directory: Path, answer: bytes
    ) -> None:
        request = handshake(alice, "Sec-WebSocket-Protocol: v1, v2")
        async with application(directory, answering(answer + frame(TEXT, b"evil"), close=True)):
            said = await answer_to(directory, request)
        assert said.startswith(b"HTTP/1.1 502 ")
        assert b"evil" not in said

    @pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "302 Found"])
    async def test_another_answer_is_passed_on_and_nothing_after_it(
        self, alice: Browser, directory: Path, status: str
    ) -> None:
        asked: list[bytes] = []

        async def serve(reader: Reader, writer: Writer) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nLocation: /login\r\n"
                "WWW-Authenticate: Basic\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n\r\nno".encode()
            )
            writer.write(OK)
            asked.append(await reader.read())

        async with application(directory, serve):
            said = await answer_to(directory, handshake(alice) + SMUGGLED)
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status}\r\n".encode())
        assert body == b"no"
        lines = head.decode().split("\r\n")
        assert f"location: {PREFIX}login" in lines
        assert [line for line in lines if line.startswith("set-cookie")] == [
            f"set-cookie: a=1; Path={PREFIX}",
            "set-cookie: b=2",
        ]
        assert "connection: close" in lines
        assert not any(line.startswith("upgrade") for line in lines)
        assert asked[1] == b""

    async def test_interim_answers_may_come_first(self, alice: Browser, directory: Path) -> None:
        async def serve(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + accepting())

        async with application(directory, serve), connection(directory) as (reader, writer):
            writer.write(handshake(alice))
            answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"link" not in answer.lower()

    async def test_frames_right_behind_the_answer_arrive(
        self, alice: Browser, directory: Path
    ) -> None:
        greeting = frame(TEXT, b"hello") + frame(TEXT, b"x" * 100_000)
        handler = answering(accepting() + greeting)
        async with application(directory, handler), connection(directory) as (reader, writer):
            writer.write(handshake(alice))
            await reader.readuntil(b"\r\n\r\n")
            assert await received(reader) == (TEXT, b"hello")
            assert await received(reader) == (TEXT, b"x" * 100_000)

    async def test_one_that_never_answers_is_given_up(
        self, alice: Browser, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("unixspawner_singleuser.forward_websocket.HANDSHAKE_TIMEOUT", 0.1)
        async with application(directory, nothing):
            said = await answer_to(directory, handshake(alice))
        assert said.startswith(b"HTTP/1.1 502 ")

    async def test_our_own_pages_take_no_websocket(self, alice: Browser, directory: Path) -> None:
        said = await answer_to(directory, handshake(alice, path="apps/x"))
        assert said.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 404 "))
        assert b"\r\nconnection: close\r\n" in said
