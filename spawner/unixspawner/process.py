"""A server's process as the hub sees it: watched through a pidfd, known by boot, pid and start.

Runs in the hub. The hub cannot signal these processes, they belong to other people; it can
only see that they end.
"""

import contextlib
import os
import select
import subprocess

from unixspawner_mediator.protocol import ProcessIdentity

from .waiting import reap_later


def boot_id() -> str:
    """This boot of the machine, see random(4)."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _start_time(pid: int) -> int:
    """Field 22 of /proc/PID/stat, in clock ticks since boot."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


class ServerProcess:
    """A process that was verified to be the person's own, and a handle that stays with it."""

    def __init__(
        self, identity: ProcessIdentity, handle: int, sudo: subprocess.Popen[bytes] | None
    ) -> None:
        self.identity = identity
        self._handle = handle
        self._sudo = sudo

    @classmethod
    def verify(
        cls, identity: ProcessIdentity, uid: int, sudo: subprocess.Popen[bytes] | None = None
    ) -> "ServerProcess | None":
        """Take hold of a process, or None when no such process of that account runs.

        The handle is opened first: what is checked afterwards is checked of that process.
        """
        try:
            handle = os.pidfd_open(identity.pid)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            owner = os.stat(f"/proc/{identity.pid}").st_uid
            same = _start_time(identity.pid) == identity.start_time
            if same and owner == uid and identity.boot_id == boot_id():
                return cls(identity, handle, sudo)
        os.close(handle)
        return None

    @property
    def handle(self) -> int:
        """A pidfd: readable once the process has ended."""
        return self._handle

    def poll(self) -> int | None:
        """None while it runs, then its exit status, or 0 where only somebody else can know."""
        if not self._ended():
            return None
        if self._sudo is None:
            return 0
        # sudo ends a moment after its command, once the PAM session is closed
        status = self._sudo.poll()
        return 0 if status is None else status

    def _ended(self) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let go of the handle."""
        os.close(self._handle)
        if self._sudo is not None:
            reap_later(self._sudo)
