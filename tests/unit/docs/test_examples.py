"""The examples work: each is run as it stands, and asked who is calling."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.unit.docs.documents import ROOT

from unixspawner_singleuser.catalogue_files import ROOT_ALONE, load

ME = pwd.getpwuid(os.getuid()).pw_name
FORGED = {"X-Forwarded-User": "mallory", "X-Forwarded-Prefix": "/user/me"}


def listens(path: Path) -> bool:
    """A socket that is bound has its name already, and takes no connection yet."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@contextmanager
def running(socket_path: Path, *command: str) -> Iterator[httpx.Client]:
    """A client for the socket of a child, which is gone afterwards."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "backend"), "PYTHONDONTWRITEBYTECODE": "1"}
    transport = httpx.HTTPTransport(uds=str(socket_path))
    with subprocess.Popen([*command, str(socket_path)], env=environment) as child:
        try:
            while not listens(socket_path):
                assert child.poll() is None, "it ended before it listened"
            with httpx.Client(transport=transport, base_url="http://example", timeout=20) as client:
                yield client
        finally:
            child.kill()


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[httpx.Client]:
    program = ROOT / "examples/notes/notes.py"
    with running(tmp_path / "notes.sock", sys.executable, str(program)) as client:
        yield client


def test_the_notes_belong_to_the_account_that_the_kernel_names(notes: httpx.Client) -> None:
    answer = notes.post("/notes", params={"text": "<b>milk</b>"}, headers=FORGED)
    assert answer.json() == ["<b>milk</b>"]
    page = notes.get("/", headers=FORGED).text
    assert f"Notes of {ME}" in page
    assert "&lt;b&gt;milk&lt;/b&gt;" in page
    assert 'href="/user/me/"' in page
    assert "mallory" not in page


def test_fifteen_lines_of_perl_know_the_caller_too(tmp_path: Path) -> None:
    program = ROOT / "examples/peercred.pl"
    with running(tmp_path / "hello.sock", "perl", str(program)) as client:
        for _ in range(2):
            assert client.get("/", headers=FORGED).text == f"Hello {ME}\n"


@pytest.mark.parametrize("name", ["notes", "dev"])
def test_the_gateway_accepts_the_examples_application_files(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(str(ROOT / "examples" / name), ROOT_ALONE | {os.getuid()})
    assert loaded.root is not None
    assert caplog.text == ""
