"""The hub and the proxy as processes: which they are now, and what becomes of them. Run as root."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import websockets.sync.client
from tests.system import service
from tests.system.browserless import Browserless
from tests.system.host import Host, wait_for
from websockets.typing import Origin

HUB, PROXY = "hub", "proxy"
_FILES = {HUB: f"{service.RUN}/hub.lock", PROXY: f"{service.RUN}/proxy.pid"}
_WORDS = {HUB: "jupyterhub_config.py", PROXY: "configurable-http-proxy"}
RESTART_DEADLINE = 90.0


def running(host: Host, part: str) -> int | None:
    """The number of the part that runs, if it does."""
    noted = host.run("cat", _FILES[part], check=False).out.strip()
    if not noted.isdigit():
        return None
    words = host.run("cat", f"/proc/{noted}/cmdline", check=False).out
    return int(noted) if _WORDS[part] in words else None


def number_of(host: Host, part: str) -> int:
    pid = running(host, part)
    assert pid is not None, f"no {part} runs"
    return pid


def all_of(host: Host, part: str) -> list[int]:
    """Whatever of the kind runs, noted somewhere or not."""
    account = service.options(host).hub_account
    found = host.run("pgrep", "-u", account, "-f", _WORDS[part], check=False).out.split()
    return [int(pid) for pid in found]


def signal(host: Host, number: str, *parts: str) -> None:
    """Signal all of them at once."""
    pids = [str(number_of(host, part)) for part in parts]
    host.run("kill", f"-{number}", *pids)


def wait_until_serving(host: Host) -> None:
    wait_for("the service", lambda: service.answers(host.url), RESTART_DEADLINE)


def wait_for_another(host: Host, part: str, before: int) -> None:
    def another() -> bool:
        return running(host, part) not in (None, before)

    wait_for(f"another {part} than {before}", another, RESTART_DEADLINE)


@contextmanager
def replaced(host: Host, *parts: str) -> Iterator[None]:
    """What is done inside ends these parts; afterwards others serve in their place."""
    before = {part: number_of(host, part) for part in parts}
    yield
    for part, pid in before.items():
        wait_for_another(host, part, pid)
    wait_until_serving(host)


def restart(host: Host) -> None:
    """The service, as an administrator does it."""
    host.run(*service.service_command(host, "restart"), timeout=180)
    wait_until_serving(host)


@contextmanager
def stopped(host: Host) -> Iterator[None]:
    """Without the service; it runs again afterwards."""
    host.run(*service.service_command(host, "stop"), timeout=120)
    try:
        yield
    finally:
        host.run(*service.service_command(host, "start"), timeout=180)
        wait_until_serving(host)


@contextmanager
def configured(host: Host, text: str) -> Iterator[None]:
    """With a file of settings beside the administrator's own, read by a hub that was restarted."""
    path = "/etc/unixspawner/jupyterhub_config.d/99-test.py"
    host.run("install", "-m", "0644", "/dev/stdin", path, stdin=text)
    try:
        restart(host)
        yield
    finally:
        host.run("rm", "-f", path)
        restart(host)


@contextmanager
def open_websocket(person: Browserless, path: str) -> Iterator[Callable[[str], str]]:
    """Ask and be answered over one WebSocket of the demo application, with a person's cookies."""
    origin = person.url.split("/")[0] + "//" + person.url.split("/")[2]
    where = person.url.replace("http", "ws", 1) + path
    cookies = "; ".join(
        f"{cookie.partition(' ')[0]}={value}"
        for cookie, value in person.cookies.items()
        if f"{person.base}{path}".startswith(cookie.partition(" ")[2])
    )
    with websockets.sync.client.connect(
        where, origin=Origin(origin), proxy=None, additional_headers={"Cookie": cookies}
    ) as connection:

        def ask(text: str) -> str:
            connection.send(text)
            return str(connection.recv(timeout=20))

        yield ask
