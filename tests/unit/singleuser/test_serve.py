"""The program as the hub and people start it: a real process, its socket, its signals, its log."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import PREFIX, environment

SOURCE = Path(__file__).parents[3] / "singleuser"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("server", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


def start(
    *arguments: str, environ: dict[str, str], listener: socket.socket | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "unixspawner_singleuser", *arguments],
        env={"PYTHONPATH": str(SOURCE), "PATH": os.defpath, **environ},
        pass_fds=(listener.fileno(),) if listener else (),
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serving(directory: Path, apps: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "server.sock"))
        listener.listen()
        process = start(
            "--fd",
            str(listener.fileno()),
            "--apps",
            str(apps or directory),
            environ=environment(directory),
            listener=listener,
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ask(directory: Path, path: str) -> http.client.HTTPResponse:
    connection = UnixConnection(directory / "server.sock")
    connection.request("GET", path, headers={"Connection": "close"})
    with contextlib.closing(connection):
        return connection.getresponse()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_the_inherited_socket_and_a_signal_ends_it_well(
    directory: Path, number: signal.Signals
) -> None:
    with serving(directory) as process:
        assert ask(directory, PREFIX + "api").status == 200
        idle = UnixConnection(directory / "server.sock")
        idle.request("GET", PREFIX + "api")
        idle.getresponse().read()
        begin = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - begin < 1
        idle.close()


def test_what_it_starts_does_not_inherit_the_socket(directory: Path) -> None:
    with serving(directory) as process:
        ask(directory, PREFIX + "api")
        sockets = []
        for entry in Path(f"/proc/{process.pid}/fdinfo").iterdir():
            target = os.readlink(f"/proc/{process.pid}/fd/{entry.name}")
            if target.startswith("socket:"):
                flags = entry.read_text().split("flags:")[1].split()[0]
                sockets.append(int(flags, 8) & os.O_CLOEXEC)
        assert sockets
        assert all(sockets)


def test_its_log_is_quiet_about_secrets(directory: Path) -> None:
    with serving(directory) as process:
        for path in ("x?token=planted", "oauth_callback?code=planted&state=planted", "api?planted"):
            ask(directory, PREFIX + path)
        process.terminate()
        assert process.stderr is not None
        log = process.stderr.read()
    assert "Serving" in log
    assert "planted" not in log
    assert "secret-of-this-server" not in log


def test_a_log_that_nobody_reads_holds_nobody_up(directory: Path) -> None:
    with serving(directory) as process:
        assert process.stderr is not None
        # A pipe takes so many bytes; a home directory that hangs takes none at all.
        write_end = os.open(f"/proc/{process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write_end, b"x" * 4096)
        os.close(write_end)
        for number in range(20):
            assert ask(directory, f"{PREFIX}oauth_callback?error=e&n={number}").status == 400
        process.terminate()
        assert process.wait(10) == 0


def test_a_bad_file_is_logged_and_does_not_stop_it(directory: Path) -> None:
    (directory / "notes.toml").write_text('title = "Notes"\nport = 1\n')
    with serving(directory) as process:
        assert ask(directory, PREFIX + "api").status == 200
        process.terminate()
        assert process.stderr is not None
        log = process.stderr.read()
    assert f"{directory}/notes.toml, line 2: unknown key 'port'. It is left out." in log


def test_it_binds_the_address_that_the_hub_names(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = {"JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{PREFIX}"}
    with start("--apps", str(directory), environ=environment(directory) | url) as process:
        connection = connect("127.0.0.1", port)
        connection.request("GET", PREFIX + "api")
        assert connection.getresponse().status == 200
        connection.close()
        process.terminate()
        assert process.wait(10) == 0


def test_development_mode_says_that_nothing_is_protected(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with start("--dev", "--port", str(port), "--apps", str(directory), environ={}) as process:
        connection = connect("127.0.0.1", port)
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        page = response.read().decode()
        assert (response.status, "nothing on this address is protected" in page) == (200, True)
        connection.close()
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert "nothing on this address is protected" in process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "changes", "sentence"),
    [
        (["--fd", "0"], {}, "Descriptor 0 is not a"),
        (["--fd", "77"], {}, "Descriptor 77 is not a socket"),
        ([], {"JUPYTERHUB_API_TOKEN": ""}, "JUPYTERHUB_API_TOKEN is not set."),
        ([], {"JUPYTERHUB_SERVICE_URL": "https://x/"}, "must start with http://"),
        ([], {"JUPYTERHUB_API_URL": "ftp://x"}, "JUPYTERHUB_API_URL must start with"),
        ([], {"JUPYTERHUB_COOKIE_OPTIONS": "{"}, "JUPYTERHUB_COOKIE_OPTIONS is not valid JSON."),
        ([], {"JUPYTERHUB_SERVICE_URL": "http://192.0.2.1:1/"}, "Cannot listen on 192.0.2.1"),
    ],
)
def test_what_makes_a_start_impossible_is_said_in_one_line(
    directory: Path, arguments: list[str], changes: dict[str, str], sentence: str
) -> None:
    url = {"JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/"}
    environ = environment(directory) | url | changes
    with start(*arguments, environ=environ) as process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        (line,) = process.stderr.read().splitlines()
        assert sentence in line


def connect(host: str, port: int) -> http.client.HTTPConnection:
    """Waits for a listener that another process is about to open."""
    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection(host, port, timeout=20)
        try:
            connection.connect()
            return connection
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
