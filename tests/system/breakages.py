"""How to break things on a machine for real, and how they are mended again.

For the table of tests/system/ailments.py. Run by pytest as root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from tests.system import parts, service
from tests.system.accounts import changed, replaced_file
from tests.system.host import Host
from tests.system.service import RUN, options, without_hub

TOKEN = "/var/lib/unixspawner/admin-token"
CURRENT = "/opt/unixspawner/current"
SOCKETS = f"{RUN}/servers"

Break = Callable[[Host], AbstractContextManager[None]]


def by(*words: str, undo: tuple[str, ...]) -> Break:
    return lambda host: changed(host, words, undo)


def mode(path: str, wrong: str, right: str) -> Break:
    return by("chmod", wrong, path, undo=("chmod", right, path))


def appended(path: str, line: str) -> Break:
    def harm(host: Host) -> AbstractContextManager[None]:
        return replaced_file(host, path, host.run("cat", path).out + line + "\n")

    return harm


def gone(path: str) -> Break:
    return lambda host: replaced_file(host, path, None)


def new_file(path: str, content: str = "", mode: str = "0644") -> Break:
    @contextmanager
    def harm(host: Host) -> Iterator[None]:
        host.run("install", "-m", mode, "/dev/stdin", path, stdin=content)
        try:
            yield
        finally:
            host.run("rm", "-rf", path)

    return harm


@contextmanager
def _small_disk(host: Host, fill: str) -> Iterator[None]:
    """The service's logs on a disk of their own; the service writes where it has always written."""
    if service.has_systemd(host):
        pytest.skip("with systemd the service's log is the journal's affair")
    place = "/var/log/unixspawner"
    host.run("mount", "-t", "tmpfs", "-o", "size=8M,nr_inodes=2000,mode=750", "tmpfs", place)
    try:
        host.run("sh", "-c", fill.format(place=place), timeout=60)
        yield
    finally:
        host.run("umount", "--lazy", place)


def full_disk(host: Host) -> AbstractContextManager[None]:
    return _small_disk(host, "head -c 7M /dev/zero > {place}/x")


def no_inodes(host: Host) -> AbstractContextManager[None]:
    return _small_disk(host, "cd {place} && seq 1990 | xargs touch 2>/dev/null || :")


@contextmanager
def dead_socket(host: Host) -> Iterator[None]:
    path = f"{SOCKETS}/{'0' * 32}.sock"
    bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    host.as_account(options(host).hub_account, "/usr/bin/python3", "-I", "-c", bind, path)
    try:
        yield
    finally:
        host.run("rm", "-f", path)


@contextmanager
def killed_hub(host: Host) -> Iterator[None]:
    """With what would start it again."""
    if service.has_systemd(host):
        pytest.skip("systemd starts a hub that was killed again at once")
    supervisor = host.run("cat", "/run/unixspawner.pid").out.strip()
    host.run("kill", "-KILL", supervisor, str(parts.number_of(host, parts.HUB)))
    try:
        yield
    finally:
        service.do(host, "restart")


@contextmanager
def proxy_that_stands_still(host: Host) -> Iterator[None]:
    """Under a hub that looks too seldom to end it before the doctor has seen it."""
    with parts.configured(host, "c.UnixProxy.look_interval = 3600.0\n"):
        parts.signal(host, "STOP", parts.PROXY)
        yield


def not_at_boot(host: Host) -> AbstractContextManager[None]:
    if service.has_systemd(host):
        systemctl = ("systemctl", "--quiet")
        off, on = (*systemctl, "disable"), (*systemctl, "enable")
        return changed(host, (*off, "unixspawner"), (*on, "unixspawner"))
    links = "/etc/rc2.d/S01unixspawner", "/etc/rc2.d/K01unixspawner"
    return changed(host, ("mv", *links), ("mv", *reversed(links)))


@contextmanager
def another_token(host: Host) -> Iterator[None]:
    with replaced_file(host, TOKEN, "0" * 64 + "\n"):
        yield


@contextmanager
def jumped_clock(host: Host) -> Iterator[None]:
    """As if the hub had made its socket when the clock was two hours behind."""
    path = "/run/unixspawner/hub.sock"
    was = host.run("stat", "-c", "%y", path).out.strip()
    host.run("touch", "-d", f"{was} - 2 hours", path)
    try:
        yield
    finally:
        host.run("touch", "-d", was, path)


_EXPIRED_TOKEN = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=20) as database:
    database.execute("DELETE FROM api_tokens WHERE prefix = 'test'")
    if sys.argv[2] == "add":
        database.execute(
            "INSERT INTO api_tokens (hashed, prefix, note, expires_at) "
            "VALUES ('test', 'test', 'Server at /user/x/', '2020-01-01 00:00:00')"
        )
"""


@contextmanager
def expired_token(host: Host) -> Iterator[None]:
    account = options(host).hub_account
    words = ("/usr/bin/python3", "-I", "-c", _EXPIRED_TOKEN, service.DATABASE)
    host.as_account(account, *words, "add")
    try:
        yield
    finally:
        host.as_account(account, *words, "remove")


@contextmanager
def garbled_database(host: Host) -> Iterator[None]:
    """Not under a hub that has it open."""
    with without_hub(host), replaced_file(host, service.DATABASE, "no database\n" * 100):
        yield


def without_the_hubs_account(host: Host) -> AbstractContextManager[None]:
    text = host.run("sed", "/^jupyterhub:/d", "/etc/passwd").out
    return replaced_file(host, "/etc/passwd", text)


@contextmanager
def no_current_release(host: Host) -> Iterator[None]:
    target = host.run("readlink", CURRENT).out.strip()
    host.run("ln", "-sfn", "/opt/unixspawner/releases/none", CURRENT)
    try:
        yield
    finally:
        host.run("ln", "-sfn", target, CURRENT)


@contextmanager
def left_over_release(host: Host) -> Iterator[None]:
    path = "/opt/unixspawner/releases/0.0.1-00000000"
    host.run("mkdir", "-p", f"{path}/bin")
    try:
        yield
    finally:
        host.run("rm", "-rf", path)


@contextmanager
def no_node(host: Host) -> Iterator[None]:
    node = host.run("readlink", "-f", CURRENT).out.strip() + "/bin/node"
    with changed(host, ("mv", node, f"{node}.away"), ("mv", f"{node}.away", node)):
        yield
