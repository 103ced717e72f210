"""Everything in the administrator's programs that touches the machine. Runs as root.

Small and without decisions; names carry the risk.
"""

import contextlib
import grp
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import AdminError

PATIENCE = 60.0  # seconds for a program of the system that only looks
SAFE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of Python's own variables none may reach a Python that we start.
_PYTHON_VARIABLES = ("PYTHON", "VIRTUAL_ENV", "__PYVENV", "PIP_TARGET", "PIP_USER", "PIP_PREFIX")


@dataclass(frozen=True)
class FileStatus:
    """Owner, group and mode bits of a path, symbolic links not followed."""

    uid: int
    gid: int
    mode: int
    kind: str  # "file", "directory", "link" or "other"


def run(
    command: Sequence[str],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> str:
    """Run a program to its end; returns what it wrote.

    Raises:
        AdminError: it failed; the text ends with the last lines that it wrote.
    """
    result = subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment() if environment is None else environment,
        cwd=directory or "/",
        check=False,
    )
    output = result.stdout.decode(errors="replace")
    if result.returncode != 0:
        tail = "\n  ".join(output.strip().splitlines()[-15:])
        raise AdminError(f"`{' '.join(command)}` failed (status {result.returncode}).\n  {tail}")
    return output


def try_run(
    command: Sequence[str], *, account: str | None = None, bounded: bool = True
) -> tuple[int, str]:
    """Exit status and output; 127 for a missing program, 124 for one that was ended after a minute.

    With `account` as that, for good. Unless `bounded` it may take as long as it does.
    """
    identity: dict[str, Any] = {}
    if account is not None:
        entry = pwd.getpwnam(account)
        groups = os.getgrouplist(account, entry.pw_gid)
        identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(),
            cwd="/",
            check=False,
            timeout=PATIENCE if bounded else None,
            **identity,
        )
    except OSError as error:
        return 127, str(error)
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {PATIENCE:g} seconds: a name service may hang"
    return result.returncode, result.stdout.decode(errors="replace")


def clean_environment() -> dict[str, str]:
    """For programs of the system: nothing of the administrator's shell."""
    return {
        "PATH": SAFE_PATH,
        "LC_ALL": "C.UTF-8",
        "HOME": "/root",
    }


def download_environment() -> dict[str, str]:
    """For pip and npm: proxies and certificates may be set there, and are written nowhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_PYTHON_VARIABLES)}
    return kept | {"PATH": SAFE_PATH, "LC_ALL": "C.UTF-8"}


def read_bytes(path: Path) -> bytes | None:
    """The content of a regular file, or None where there is none."""
    try:
        return path.read_bytes() if not path.is_symlink() else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def file_status(path: Path) -> FileStatus | None:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), "other")
    return FileStatus(status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), kind)


def write_file(
    path: Path,
    content: bytes,
    mode: int,
    uid: int,
    gid: int,
    check: Callable[[Path], None] | None = None,
) -> None:
    """Replace a file in one step; owner and mode are right before anybody can open it.

    The temporary name begins with a dot: sudo, PAM, logrotate and our own readers pass over it.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(temporary)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def set_owner_and_mode(path: Path, mode: int, uid: int, gid: int) -> None:
    """On the open descriptor, so that nothing can be put in its place meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def point_link(path: Path, target: str) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    temporary.rename(path)


def give_tree(top: Path, uid: int, gid: int) -> None:
    """Change the owner of a tree that an untrusted account has written.

    Links of either kind are passed over: they could lead to files of others.
    """
    for _directory, _names, files, descriptor in os.fwalk(top, follow_symlinks=False):
        os.fchown(descriptor, uid, gid)
        for name in files:
            _give_file(name, descriptor, uid, gid)


def _give_file(name: str, directory: int, uid: int, gid: int) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(OSError):
        descriptor = os.open(name, flags, dir_fd=directory)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
                os.fchown(descriptor, uid, gid)
        finally:
            os.close(descriptor)


def remove_tree(path: Path) -> None:
    """rm -rf, safe against links (shutil works on descriptors here)."""
    shutil.rmtree(path, ignore_errors=False)


def uid_of(account: str) -> int | None:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(account).pw_uid
    return None


def gid_of(group: str) -> int | None:
    with contextlib.suppress(KeyError):
        return grp.getgrnam(group).gr_gid
    return None


def group_names(account: str) -> list[str]:
    """All groups of an account, the primary one included."""
    entry = pwd.getpwnam(account)
    names = []
    for gid in os.getgrouplist(account, entry.pw_gid):
        with contextlib.suppress(KeyError):
            names.append(grp.getgrgid(gid).gr_name)
    return names


def members(group: str) -> list[str]:
    """Who is in the group, supplementary or primary, as far as it is listed."""
    with contextlib.suppress(KeyError):
        entry = grp.getgrnam(group)
        primary = [p.pw_name for p in pwd.getpwall() if p.pw_gid == entry.gr_gid]
        return sorted({*entry.gr_mem, *primary})
    return []


MAX_PROCESS_FILE = 2**20


def processes() -> Iterator[int]:
    """Of this system, not of containers on it; without ourselves and those that have ended."""
    here = _pid_namespace(os.getpid())
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and _pid_namespace(int(name)) == here:
            if _process_state(int(name)) == b"Z":
                continue
            yield int(name)


def _pid_namespace(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    return None


def _process_state(pid: int) -> bytes:
    return read_process(pid, "stat").rpartition(b")")[2][1:2]


def read_process(pid: int, name: str) -> bytes:
    """The beginning of /proc/<pid>/<name>, empty when the process is gone.

    Bounded, since a person's process can make its environment appear as large as it likes.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read(MAX_PROCESS_FILE)
    return b""


def processes_of(account: str) -> list[int]:
    """Everything that runs as an account."""
    uid = uid_of(account)
    return [pid for pid in processes() if uid is not None and process_uid(pid) == uid]


def process_uid(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}").st_uid
    return None


def signal_processes(
    pids: Sequence[int], number: signal.Signals, find: Callable[[], Collection[int]]
) -> None:
    """Signal processes through handles: those that `find` still finds once we hold them."""
    handles = {}
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended, or we hold as many as we may
            handles[pid] = os.pidfd_open(pid)
    still_there = set(find())
    for pid, handle in handles.items():
        with contextlib.suppress(OSError):
            if pid in still_there:
                signal.pidfd_send_signal(handle, number)
        os.close(handle)


def primary_group(account: str) -> str:
    return grp.getgrgid(pwd.getpwnam(account).pw_gid).gr_name


def read_text(path: Path) -> str | None:
    content = read_bytes(path)
    return None if content is None else content.decode("utf-8", errors="replace")
