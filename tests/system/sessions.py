"""Holds the opening of PAM sessions, as a slow mount or directory service does. Run as root.

So that a test can look at a start that is under way, for as long as it takes to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.system.accounts import replaced_file
from tests.system.host import Host

SESSION_STACK = "/etc/pam.d/unixspawner-session"


@contextmanager
def held_sessions(host: Host) -> Iterator[Callable[[], None]]:
    """Until the yielded function is called, one server's session does not open."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    gate = f"{folder}/gate"
    host.run("mkfifo", "-m", "600", gate)
    wait = f"session required pam_exec.so quiet type=open_session /usr/bin/head -c 1 {gate}\n"
    released = False

    def release() -> None:
        nonlocal released
        released = True
        host.run("timeout", "20", "sh", "-c", 'printf x > "$1"', "sh", gate)

    try:
        with replaced_file(host, SESSION_STACK, wait + host.run("cat", SESSION_STACK).out):
            yield release
    finally:
        if not released:
            # Somebody may wait there, or nobody: a writer that does not block finds out.
            host.run("dd", f"of={gate}", "oflag=nonblock", "if=/dev/zero", "count=1", check=False)
        host.run("rm", "-r", folder)
