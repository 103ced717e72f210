"""The process of a proxy that this hub did not start itself: found, recognised, watched, ended.

Run in the hub, as the account that the proxy runs as. A process is held by its pidfd from before it
is looked at, so that whatever happens to its number, nobody else is signalled.
"""

import asyncio
import contextlib
import errno
import os
import select
import signal
import socket
import struct

from .waiting import readable_within

MARK = "UNIXSPAWNER_PROXY"
PATIENCE = 5.0  # seconds between TERM and KILL
_PROGRAM = b"configurable-http-proxy"
_OUR_OWN_WANT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
# Without a Host: Node itself answers 400, and the proxy's log has no line for each look.
_GREETING = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"


class ProxyProcess:
    """A process, or what is left to say of it once it has ended."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self.handle = handle

    @classmethod
    def hold(cls, pid: int) -> "ProxyProcess | None":
        """None when there is no such process."""
        try:
            return cls(pid, os.pidfd_open(pid))
        except OSError:
            return None

    def is_ours(self, api_socket: str) -> bool:
        """Whether it is a proxy of our account, at our socket."""
        words = self._read("cmdline").split(b"\0")
        is_proxy = any(word.endswith(_PROGRAM) for word in words)
        return is_proxy and os.fsencode(api_socket) in words and self._uid() == os.getuid()

    @property
    def mark(self) -> str:
        """How it was started; empty for a proxy that does not say."""
        variables = self._read("environ").split(b"\0")
        prefix = f"{MARK}=".encode()
        found = [value for value in variables if value.startswith(prefix)]
        return found[0].removeprefix(prefix).decode("ascii", "replace") if found else ""

    def poll(self) -> int | None:
        """None while it runs; its exit status is for its parent."""
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return 0 if poll.poll(0) else None

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    async def end(self) -> None:
        """TERM, and KILL when it takes longer."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            if await self.ends_within(PATIENCE):
                return

    async def ends_within(self, seconds: float) -> bool:
        return await readable_within(self.handle, seconds)

    def close(self) -> None:
        os.close(self.handle)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, number)

    def _read(self, name: str) -> bytes:
        with contextlib.suppress(OSError), open(f"/proc/{self.pid}/{name}", "rb") as file:
            return file.read()
        return b""

    def _uid(self) -> int | None:
        with contextlib.suppress(OSError):
            return os.stat(f"/proc/{self.pid}").st_uid
        return None


def find(api_socket: str) -> list[ProxyProcess]:
    """All proxies of our account at that socket, to be closed by the caller."""
    found = []
    for name in os.listdir("/proc"):
        process = ProxyProcess.hold(int(name)) if name.isdigit() and _may_be(int(name)) else None
        if process is not None and process.is_ours(api_socket):
            found.append(process)
        elif process is not None:
            process.close()
    return found


def _may_be(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return pid != os.getpid() and os.stat(f"/proc/{pid}").st_uid == os.getuid()
    return False


def listener_of(path: str) -> int:
    """The process that listens on a Unix socket, as the kernel knows it; 0 for none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        connection.connect(path)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", credentials)[0])
    return 0


async def is_awake(api_socket: str, seconds: float) -> bool:
    """Whether anything at all comes back from the proxy at this socket.

    Over a connection of its own: those of the hub's client may all be waiting for this proxy. What
    the hub itself has none of, such as descriptors, says nothing of the proxy.
    """
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(api_socket)
            try:
                writer.write(_GREETING)
                return await reader.read(1) != b""
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except OSError as error:  # a TimeoutError is one
        return error.errno in _OUR_OWN_WANT
