"""A directory that hangs, as one does whose file server is gone. Run by pytest as root.

A FUSE file system that nobody serves: whoever looks at it waits until it is taken away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.host import Host, wait_for

_PROGRAM = r"""
import ctypes, os, signal, sys
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40755,user_id=0,group_id=0,allow_other".encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"hanging", sys.argv[1].encode(), b"fuse.hanging", 0, options) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
signal.pause()
"""


@contextmanager
def hanging_directory(host: Host, path: str) -> Iterator[None]:
    """Until the end of the block, whatever touches `path` waits."""
    script = '/usr/bin/python3 -I -c "$1" "$2" >/dev/null 2>&1 </dev/null & echo $!'
    pid = host.run("sh", "-c", script, "sh", _PROGRAM, path).out.strip()
    try:
        wait_for(
            "the mount", lambda: f" {path} fuse.hanging " in host.run("cat", "/proc/mounts").out
        )
        yield
    finally:
        host.run("kill", pid, check=False)
        host.run("umount", "--lazy", path, check=False)
