"""Home directories as file servers and disks make them: full, over quota, gone, not answering.

Run by pytest as root. A mount of ours lies over a person's home. The one that hangs is a FUSE file
system which reads what the kernel asks and does not answer: whoever asked then waits beyond any
signal, as with a file server that went away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.system.accounts import Account, changed
from tests.system.host import Host, wait_for

_FUSE = r"""
import ctypes, errno, os, signal, struct, sys

target, uid, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
answers = mode != "hangs"
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40755,user_id=0,group_id=0,allow_other"
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"test", target.encode(), b"fuse.test", 6, options.encode()) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))

def stop_answering(*_):
    global answers
    answers = False

signal.signal(signal.SIGUSR1, stop_answering)
INIT, GETATTR, LOOKUP, FORGET, INTERRUPT, BATCH_FORGET = 26, 3, 1, 2, 36, 42
STATFS, OPENDIR, READDIR, RELEASEDIR, ACCESS = 17, 27, 28, 29, 34
attributes = struct.pack("<6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, uid, uid, 0, 512, 0)
good = {
    INIT: struct.pack("<4I2HIIHH8I", 7, 31, 65536, 0, 12, 9, 65536, 1, 0, 0, *[0] * 8),
    GETATTR: struct.pack("<QII", 0, 0, 0) + attributes,
    OPENDIR: struct.pack("<QII", 0, 0, 0), READDIR: b"", RELEASEDIR: b"", STATFS: bytes(80),
}
bad = {LOOKUP: errno.ENOENT, ACCESS: errno.ENOSYS}
while True:
    try:
        request = os.read(device, 1 << 17)
    except InterruptedError:
        continue
    except OSError:
        break  # unmounted
    _, code, unique = struct.unpack("<IIQ", request[:16])
    if code in (FORGET, INTERRUPT, BATCH_FORGET) or (not answers and code != INIT):
        continue
    body = good.get(code, b"")
    error = 0 if code in good else bad.get(code, errno.EDQUOT)
    os.write(device, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)
"""


@dataclass(frozen=True)
class FuseHome:
    """A home that answers to looking, takes nothing, and can stop answering at all."""

    host: Host
    daemon: str
    """The number of its process there."""
    path: str

    def hang(self) -> None:
        self.host.run("kill", "-USR1", self.daemon)

    def come_back(self) -> None:
        """Not as it was, but with an error for everybody who waits: the server is reset."""
        self.host.run("kill", "-KILL", self.daemon)
        wait_for("the error", lambda: self.host.run("ls", self.path, check=False).status != 0)


@contextmanager
def fuse_home(host: Host, account: Account, mode: str) -> Iterator[FuseHome]:
    """`mode`: "hangs" from the start, or "quota", which has no room for anything."""
    load = "modprobe -q fuse 2>/dev/null || true"  # without udev nothing else loads it
    script = f'{load}\n/usr/bin/python3 -I -c "$@" >/dev/null 2>&1 </dev/null & echo $!'
    words = (_FUSE, account.home, str(account.uid), mode)
    daemon = host.run("sh", "-c", script, "sh", *words).out.strip()
    try:
        wait_for("the mount", lambda: _is_mounted(host, account.home))
        yield FuseHome(host, daemon, account.home)
    finally:
        host.run("kill", "-KILL", daemon, check=False)  # it may have ended
        host.run("umount", "-l", account.home)


def _is_mounted(host: Host, path: str) -> bool:
    return f" {path} fuse.test " in host.run("cat", "/proc/mounts").out


def missing_home(host: Host, bob: Account) -> AbstractContextManager[None]:
    elsewhere = f"{bob.home}.elsewhere"
    return changed(host, ("mv", bob.home, elsewhere), ("mv", elsewhere, bob.home))


def another_s_home(host: Host, bob: Account) -> AbstractContextManager[None]:
    mode = host.run("stat", "-c", "%a", bob.home).out.strip()
    script = 'chown "$1" "$2" && chmod "$3" "$2"'
    shell = ("sh", "-c", script, "sh")
    change = (*shell, "root:root", bob.home, "700")
    return changed(host, change, (*shell, f"{bob.name}:{bob.name}", bob.home, mode))


def closed_home(host: Host, bob: Account) -> AbstractContextManager[None]:
    mode = host.run("stat", "-c", "%a", bob.home).out.strip()
    return changed(host, ("chmod", "0", bob.home), ("chmod", mode, bob.home))


@contextmanager
def full_home(host: Host, account: Account) -> Iterator[None]:
    """A disk of 64 KiB, full to the last octet."""
    options = f"size=64k,mode=0755,uid={account.uid},gid={account.uid}"
    with mounted(host, account.home, "tmpfs", options):
        host.run("dd", "if=/dev/zero", f"of={account.home}/filling", "bs=4096", check=False)
        yield


@contextmanager
def read_only_home(host: Host, account: Account) -> Iterator[None]:
    with mounted(host, account.home, "tmpfs", f"ro,mode=0755,uid={account.uid}"):
        yield


@contextmanager
def dead_mount(host: Host, account: Account) -> Iterator[None]:
    """What is left of a mount whose file server has ended: an error for everybody."""
    with fuse_home(host, account, "quota") as home:
        home.come_back()
        yield


@contextmanager
def mounted(host: Host, path: str, kind: str, options: str) -> Iterator[None]:
    host.run("mount", "-t", kind, "-o", options, "unixspawner-test", path)
    try:
        yield
    finally:
        host.run("umount", "-l", path)
