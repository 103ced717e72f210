"""The recipes of this clone, installed for a while by their own scripts. Run by pytest as root.

What they build is kept in the tests' own folder, so that the next run on this machine need not
download and compile it again; a recipe that has changed is built anew in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.accounts import replaced_file
from tests.system.host import Host, Result
from tests.system.service import INSTALL_DEADLINE

NAMES = ("editor", "jupyterlab", "streamlit", "terminal")
APPS = "/opt/unixspawner-apps"
CATALOGUE = "/etc/unixspawner/apps.d"
DEMO = f"{CATALOGUE}/demo.toml"
_KEPT = "/opt/unixspawner-tests/recipes"


def run_recipe(host: Host, name: str, *options: str, check: bool = True) -> Result:
    script = f"{host.clone}/recipes/{name}/install"
    return host.run(script, *options, check=check, timeout=INSTALL_DEADLINE)


@contextmanager
def installed_recipes(host: Host, *names: str) -> Iterator[dict[str, str]]:
    """What each script said. Afterwards they are gone, and the machine is as it was."""
    for name in names:
        _copy(host, f"{_KEPT}/{name}", f"{APPS}/{name}/builds")
    try:
        yield {name: run_recipe(host, name).out for name in names}
    finally:
        for name in names:
            _copy(host, f"{APPS}/{name}/builds", f"{_KEPT}/{name}")
            run_recipe(host, name, "--remove")


@contextmanager
def without_demo(host: Host) -> Iterator[None]:
    """The place of the home page is free for another application."""
    with replaced_file(host, DEMO, None):
        yield


_COPY = """
[ -d "$1" ] && [ "$(ls "$1")" != "$(ls "$2" 2>/dev/null)" ] || exit 0
mkdir -p "${2%/*}" && rm -rf "$2.new" && cp -a "$1" "$2.new" && rm -rf "$2" && mv -T "$2.new" "$2"
"""


def _copy(host: Host, source: str, target: str) -> None:
    """Builds have names of their content. Only one copy of the machine does this at a time."""
    host.run("mkdir", "-p", _KEPT)
    words = ("flock", _KEPT, "sh", "-c", _COPY, "sh", source, target)
    host.run(*words, timeout=INSTALL_DEADLINE)


# What somebody else on this machine could reach.

_LISTENERS = r"""
import os, pwd, sys
uid = pwd.getpwnam(sys.argv[1]).pw_uid
for name in ("tcp", "tcp6", "udp", "udp6"):
    with open(f"/proc/net/{name}") as file:
        for line in list(file)[1:]:
            fields = line.split()
            bound = fields[3] == ("0A" if name.startswith("tcp") else "07")
            if bound and int(fields[7]) == uid:
                print(name, fields[1])
inodes = set()
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        if os.stat(f"/proc/{pid}").st_uid == uid:
            for number in os.listdir(f"/proc/{pid}/fd"):
                inodes.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    except OSError:
        continue
with open("/proc/net/unix") as file:
    for line in list(file)[1:]:
        fields = line.split(maxsplit=7)
        listens = int(fields[3], 16) & 0x10000
        if listens and f"socket:[{fields[6]}]" in inodes:
            print("unix", fields[7].strip() if len(fields) > 7 else "unnamed")
"""
_CONNECT = r"""
import socket, sys
for path in sys.stdin.read().splitlines():
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect("\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        continue
    print(path)
"""


def listeners(host: Host, name: str) -> list[str]:
    """Where processes of the account listen: "tcp ADDRESS" or "unix PATH"."""
    return host.run("/usr/bin/python3", "-I", "-c", _LISTENERS, name).out.splitlines()


def network_listeners(host: Host, name: str) -> list[str]:
    return [line for line in listeners(host, name) if not line.startswith("unix ")]


def reachable_sockets(host: Host, name: str, stranger: str) -> list[str]:
    """The account's Unix sockets that another account can connect to."""
    paths = [line[5:] for line in listeners(host, name) if line.startswith("unix /")]
    paths += [line[5:] for line in listeners(host, name) if line.startswith("unix @")]
    command = ("/usr/bin/python3", "-I", "-c", _CONNECT)
    return host.as_account(stranger, *command, stdin="\n".join(paths)).out.splitlines()
