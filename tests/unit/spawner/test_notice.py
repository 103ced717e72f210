"""Telling servers to look again, and knowing who is at the other end of a socket."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from unixspawner import handlers, notice


async def test_every_server_is_told_also_beside_one_that_is_gone_or_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice, "PATIENCE", 0.1)
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 202 Accepted\r\n\r\n")
        writer.close()

    path = str(tmp_path / "server")
    server = await asyncio.start_unix_server(hear, path)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        places = [str(tmp_path / "gone"), str(tmp_path / "silent"), path]
        heard_it = await notice.look_again([(place, "/user/alice/") for place in places])
    assert heard_it == {path}
    server.close()
    await server.wait_closed()
    assert [each.splitlines()[0] for each in heard] == [b"POST /user/alice/api HTTP/1.1"]
    assert b"X-Forwarded-For" not in heard[0]


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    mine, other = socket.socketpair()
    with mine, other:
        assert handlers.peer_uid(mine) == os.getuid()
    with socket.socket() as tcp:
        assert handlers.peer_uid(tcp) == -1
