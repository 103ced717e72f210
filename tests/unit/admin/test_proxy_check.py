"""A proxy that is there and does not answer: what the doctor makes of it."""

from __future__ import annotations

import os
import pathlib
import pwd
import subprocess
import sys

import pytest

from unixspawner_admin import paths
from unixspawner_admin.checks import proxy

OURSELVES = pwd.getpwuid(os.getuid()).pw_name
STAND_IN = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("up", flush=True)
connection, _ = listener.accept()
connection.recv(100)
if sys.argv[2] == "answers":
    connection.send(b"HTTP/1.1 400 Bad Request\\r\\n\\r\\n")
sys.stdin.read()
"""


@pytest.mark.parametrize(("manner", "level"), [("answers", "ok"), ("is silent", "failure")])
def test_it_is_asked(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, manner: str, level: str
) -> None:
    monkeypatch.setattr(paths, "PROXY_SOCKET", tmp_path / "api")
    monkeypatch.setattr(proxy, "_SECONDS", 10.0 if manner == "answers" else 0.3)
    words = [sys.executable, "-c", STAND_IN, str(paths.PROXY_SOCKET), manner]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        finding = proxy._answers(OURSELVES)
    assert finding.level == level
    assert ("restart" in finding.cure) is (level == "failure")


def test_without_a_socket_it_does_not(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PROXY_SOCKET", tmp_path / "api")
    assert proxy._answers(OURSELVES).level == "failure"
