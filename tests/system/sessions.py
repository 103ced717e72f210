"""Holds the opening of PAM sessions, as a slow mount or directory service does. Run as root.

So that a test can look at a start that is under way, for as long as it takes to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.system.accounts import replaced_file
from tests.system.host import Host
from tests.system.logs import is_sudo_rs
from tests.system.servers import open_gate

SESSION_STACK = "/etc/pam.d/unixspawner-session"


@contextmanager
def session_with(host: Host, line: str) -> Iterator[None]:
    """This line first of all when a server's session opens."""
    if is_sudo_rs(host):
        pytest.skip("sudo-rs opens the session of its own service, whatever it runs")
    with replaced_file(host, SESSION_STACK, f"{line}\n{host.run('cat', SESSION_STACK).out}"):
        yield


@contextmanager
def held_sessions(host: Host) -> Iterator[Callable[[], None]]:
    """Until the yielded function is called, one server's session does not open."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    gate = f"{folder}/gate"
    host.run("mkfifo", "-m", "600", gate)
    wait = f"session required pam_exec.so quiet type=open_session /usr/bin/head -c 1 {gate}"
    released = False

    def release() -> None:
        nonlocal released
        released = True
        open_gate(host, gate)

    try:
        with session_with(host, wait):
            yield release
    finally:
        if not released:
            # Somebody may wait there, or nobody: a writer that does not block finds out.
            host.run("dd", f"of={gate}", "oflag=nonblock", "if=/dev/zero", "count=1", check=False)
        host.run("rm", "-r", folder)
