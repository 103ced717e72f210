"""Other programs in the place of a person's server, so that it behaves as a test needs it.

Run by pytest as root, which writes them beside root's programs and names them in mediator.toml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.system.accounts import changed, replaced_file
from tests.system.host import Host, patient
from tests.system.service import MEDIATOR_TOML, RUN

LAUNCHER = "/usr/local/libexec/unixspawner/server"

# Starts children in every way that gets away from a parent, then becomes the real server.
FAMILY = f"""#!/bin/bash
sleep 1001 &
setsid sleep 1002 &
(setsid bash -c 'sleep 1003 & disown' &)
nohup setsid bash -c '(trap "" TERM HUP INT; exec sleep 1004) & (env -i sleep 1005) & wait' &
disown -a
exec {LAUNCHER} "$@"
"""
CHILDREN = {"sleep 1001", "sleep 1002", "sleep 1003", "sleep 1004", "sleep 1005"}

# Loses a child as soon as the real server adopts it: no mark, no parent, a session of its own.
LATE = f"""#!/bin/bash
lose() {{
    until pgrep -u $EUID -xf "sleep 1008" >/dev/null; do
        # it ends at once when somebody else has become its parent
        env -i setsid -f sh -c '
            sleep 0.1
            read -r pid name state parent others </proc/$$/stat
            [ "$parent" = "$1" ] && exec sleep 1008
        ' sh $$
        sleep 0.2
    done
}}
lose &
exec {LAUNCHER} "$@"
"""

# Says something and then nothing more.
SILENT = """#!/bin/bash
echo "reading a very large file" >&2
sleep 1006 &
exec sleep 1007
"""


@contextmanager
def server_program(host: Host, script: str) -> Iterator[None]:
    """Every server that starts now is this script; the ones that run are not touched."""
    path = host.run("mktemp", "/usr/local/libexec/unixspawner-test.XXXXXX").out.strip()
    host.run("install", "-m", "0755", "/dev/stdin", path, stdin=script)
    lines = host.run("cat", MEDIATOR_TOML).out.splitlines()
    kept = [line for line in lines if not line.startswith("command")]
    text = "\n".join([*kept, f'command = ["{path}", "--fd", "3"]', ""])
    try:
        with replaced_file(host, MEDIATOR_TOML, text):
            yield
    finally:
        host.run("rm", "-f", path)


def without_sockets(host: Host) -> AbstractContextManager[None]:
    """The directory in which the hub makes sockets for servers is away."""
    here, away = f"{RUN}/servers", f"{RUN}/servers.away"
    return changed(host, ("mv", here, away), ("mv", away, here))


@contextmanager
def held_servers(host: Host) -> Iterator[Callable[[], None]]:
    """Until the yielded function is called, one server that starts does not answer."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    gate = f"{folder}/gate"
    host.run("chmod", "755", folder)
    host.run("mkfifo", "-m", "644", gate)
    waits = f'#!/bin/sh\nhead -c 1 {gate} >/dev/null\nexec {LAUNCHER} "$@"\n'
    try:
        with server_program(host, waits):
            yield lambda: open_gate(host, gate)
    finally:
        host.run("rm", "-r", folder)


def open_gate(host: Host, gate: str) -> None:
    """For who reads from it, or will in a moment."""
    limit = str(patient(20))
    host.run("timeout", limit, "sh", "-c", 'printf x > "$1"', "sh", gate)
