"""A machine that is busy may need longer than JupyterHub waits for its proxy."""

import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub.proxy import ConfigurableHTTPProxy

from unixspawner.proxy import UnixProxy

SLOW = """
import socket, sys, time
time.sleep(float(sys.argv[1]))
listeners = [socket.socket(socket.AF_UNIX) for _ in sys.argv[2:]]
for listener, path in zip(listeners, sys.argv[2:]):
    listener.bind(path)
    listener.listen()
time.sleep(60)
"""


class Impatient(UnixProxy):
    """JupyterHub has started it and given up, as it does after ten seconds."""

    public_url = api_url = ""
    proxy_process: subprocess.Popen[bytes]


@pytest.fixture
def proxy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Impatient]:
    async def give_up(self: Any) -> None:
        raise TimeoutError("JupyterHub's ten seconds are over")

    monkeypatch.setattr(ConfigurableHTTPProxy, "start", give_up)
    proxy = Impatient(token_file=str(tmp_path / "token"))
    for name in ("public", "api"):
        setattr(proxy, f"{name}_url", f"http+unix://{str(tmp_path / name).replace('/', '%2F')}")
    yield proxy
    proxy.proxy_process.kill()
    proxy.proxy_process.wait()


def begin(proxy: Impatient, tmp_path: pathlib.Path, program: str, delay: float = 0.0) -> None:
    paths = (str(tmp_path / "public"), str(tmp_path / "api"))
    proxy.proxy_process = subprocess.Popen([sys.executable, "-c", program, str(delay), *paths])


async def test_a_slow_proxy_is_waited_for(proxy: Impatient, tmp_path: pathlib.Path) -> None:
    begin(proxy, tmp_path, SLOW, delay=1.5)
    await proxy._start_until(time.monotonic() + 30)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(tmp_path / "api"))


async def test_one_that_ends_is_not_waited_for(proxy: Impatient, tmp_path: pathlib.Path) -> None:
    begin(proxy, tmp_path, "raise SystemExit(1)")
    with pytest.raises(RuntimeError, match="ended before it took connections"):
        await proxy._start_until(time.monotonic() + 30)


async def test_not_for_ever(proxy: Impatient, tmp_path: pathlib.Path) -> None:
    begin(proxy, tmp_path, SLOW, delay=60)
    with pytest.raises(TimeoutError):
        await proxy._start_until(time.monotonic())
