"""Real name services beside the machine's own files: one that can be down, and one that hangs.

Run by pytest as root. The first is libnss-extrausers, which reads files of its own, and is down
while these are away. The second is SSSD's client, with a daemon that listens and never answers, or
with none at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.system.accounts import Account, replaced_file
from tests.system.host import Host, wait_for
from tests.system.live import removed

NSSWITCH = "/etc/nsswitch.conf"
EXTRA = "/var/lib/extrausers"
DATABASES = ("passwd", "shadow", "group")
CACHE = "/opt/unixspawner-tests/packages"
PIPES = "/var/lib/sss/pipes"
_DAEMON = """
import os, signal, socket, sys
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
listener.listen(100)
signal.pause()
"""


@contextmanager
def asked_too(host: Host, services: str) -> Iterator[None]:
    """Let the machine ask these services for accounts and groups."""
    text = host.run("cat", NSSWITCH).out
    changed = re.sub(r"^(passwd|group):.*$", rf"\1: {services}", text, flags=re.MULTILINE)
    shadow = services.replace("sss", "")
    changed = re.sub(r"^shadow:.*$", f"shadow: {shadow}", changed, flags=re.MULTILINE)
    with replaced_file(host, NSSWITCH, changed):
        yield


@dataclass(frozen=True)
class Directory:
    """A service that has one person's account, and groups that they are in."""

    host: Host
    person: Account

    def down(self) -> None:
        """Without its files the service says that it is unavailable."""
        self._rename("", ".away")

    def up(self) -> None:
        self._rename(".away", "")

    def _rename(self, old: str, new: str) -> None:
        for database in DATABASES:
            self.host.run("mv", f"{EXTRA}/{database}{old}", f"{EXTRA}/{database}{new}")

    def put_out(self, group: str) -> None:
        """Take the person out of a group, as an administrator of the directory does."""
        change = f"s/^\\({group}:.*:\\){self.person.name}$/\\1/"
        self.host.run("sed", "-i", change, f"{EXTRA}/group")


@contextmanager
def directory_with(host: Host, person: Account, *groups: str) -> Iterator[Directory]:
    """Move a person from the machine's files to another service, which puts them into groups."""
    lines = {database: host.run("getent", database, person.name).out for database in DATABASES}
    for group in groups:
        gid = host.run("getent", "group", group).out.split(":")[2]
        lines["group"] += f"{group}:x:{gid}:{person.name}\n"
    with removed(host, person), asked_too(host, "files extrausers"):
        host.run("mkdir", "-p", EXTRA)
        try:
            for database, text in lines.items():
                mode = "0640" if database == "shadow" else "0644"
                path = f"{EXTRA}/{database}"
                host.run("install", "-m", mode, "-g", "shadow", "/dev/stdin", path, stdin=text)
            yield Directory(host, person)
        finally:
            host.run("sh", "-c", f"rm -f {EXTRA}/*")


@contextmanager
def sssd_client(host: Host) -> Iterator[None]:
    """SSSD's client library without its package, which would change nsswitch.conf for good."""
    host.run("mkdir", "-p", CACHE)
    if not host.run("find", CACHE, "-maxdepth", "1", "-name", "libnss-sss_*.deb").out:
        host.run("sh", "-c", f"cd {CACHE} && apt-get -q download libnss-sss", timeout=120)
    unpack = f"dpkg-deb -x {CACHE}/libnss-sss_*.deb {CACHE}/sss && find {CACHE}/sss -name '*.so.2'"
    library = host.run("sh", "-c", unpack).out.strip()
    folder = host.run("sh", "-c", "dirname /usr/lib/*/libnss_files.so.2").out.strip()
    host.run("cp", library, folder)
    try:
        with asked_too(host, "files sss"):
            yield
    finally:
        host.run("rm", f"{folder}/libnss_sss.so.2")


@contextmanager
def hanging_sssd(host: Host) -> Iterator[None]:
    """A daemon that takes every question and never answers one."""
    script = 'exec setsid /usr/bin/python3 -Ic "$1" "$2" >/dev/null 2>&1 </dev/null &'
    host.run("sh", "-c", script, "sh", _DAEMON, f"{PIPES}/nss")
    there = f"test -S {PIPES}/nss"
    wait_for("the daemon", lambda: host.run("sh", "-c", there, check=False).status == 0)
    try:
        yield
    finally:
        host.run("pkill", "-f", f"{PIPES}/nss")
        host.run("rm", "-r", "/var/lib/sss")
