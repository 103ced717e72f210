"""What an application makes of a WebSocket's handshake: an agreement, or any other answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import HOST, PREFIX, Browser
from tests.unit.singleuser.raw import (
    OK,
    Reader,
    Writer,
    answer_to,
    answering,
    application,
    connection,
)
from tests.unit.singleuser.raw_websocket import (
    KEY,
    TEXT,
    accepting,
    frame,
    handshake,
    received,
)

from unixspawner_singleuser.account import Account

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket"]
VERSION = "Sec-WebSocket-Version: 13"
SMUGGLED = f"GET {PREFIX}smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


async def nothing(reader: Reader, writer: Writer) -> None:
    await reader.read()


class TestTheApplicationsHalf:
    @pytest.fixture
    def account(self, account: Account) -> Account:
        return replace(account, groups=("zoo", "lab"))

    async def test_the_handshake_is_the_browsers_own(
        self, alice: Browser, directory: Path, account: Account
    ) -> None:
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
            "X-Forwarded-Uid: 0",
            "X-Forwarded-Groups: root",
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
        assert [line for line in lines if line.startswith("x-forwarded-")] == [
            f"x-forwarded-user: {account.name}",
            f"x-forwarded-uid: {account.uid}",
            "x-forwarded-groups: zoo,lab",
            f"x-forwarded-prefix: {PREFIX.rstrip('/')}",
        ]
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
