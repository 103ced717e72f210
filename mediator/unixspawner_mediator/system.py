"""Everything in the privileged programs that touches the machine, under names one notices.

Runs as whoever sudo made us. No decision is taken here.
"""

import array
import contextlib
import fcntl
import grp
import math
import os
import pwd
import resource
import select
import signal
import socket
import stat
import sys
import syslog
from collections.abc import Callable, Mapping
from typing import NoReturn

from . import paths
from .errors import Refusal, broken_request
from .policy import Account
from .protocol import MAX_REQUEST, ProcessIdentity, printable

SERVER_SOCKET_FD = 3
_STASH_FD = 10  # received descriptors are moved here and above, out of the way of 3


def receive_request() -> tuple[bytes, list[int]]:
    """Read one datagram and its descriptors from standard input, all of them close-on-exec."""
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        raise broken_request("standard input is not a socket")
    with socket.socket(fileno=os.dup(0)) as channel:
        if channel.family != socket.AF_UNIX or channel.type != socket.SOCK_SEQPACKET:
            raise broken_request("standard input is not a Unix datagram channel")
        ancillary = socket.CMSG_SPACE(4 * array.array("i").itemsize)
        data, messages, flags, _ = channel.recvmsg(
            MAX_REQUEST + 1, ancillary, socket.MSG_CMSG_CLOEXEC
        )
    descriptors = [_stash(fd) for fd in _received(messages)]
    if flags & socket.MSG_CTRUNC:
        raise broken_request("too many descriptors")
    if flags & socket.MSG_TRUNC:
        raise broken_request(f"longer than {MAX_REQUEST} octets")
    return data, descriptors


def _received(messages: list[tuple[int, int, bytes]]) -> list[int]:
    descriptors = array.array("i")
    for level, kind, data in messages:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return list(descriptors)


def _stash(descriptor: int) -> int:
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _STASH_FD)
    os.close(descriptor)
    return moved


def reply(descriptor: int, message: bytes) -> None:
    """Send one reply line. That nobody listens any more means: do not go on (OSError)."""
    os.write(descriptor, message + b"\n")


def is_status_pipe(descriptor: int) -> bool:
    """Whether this is the write end of a pipe."""
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return False
    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY


def is_listening_unix_socket(descriptor: int) -> bool:
    """Whether this is what the server can accept connections on."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        return (
            listener.family == socket.AF_UNIX
            and listener.type == socket.SOCK_STREAM
            and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        )


def caller_name() -> str | None:
    """Who ran sudo; None when it was not sudo or nobody that the name service knows.

    Without sudo a person can set SUDO_UID himself, and gains nothing: he is himself already.
    """
    try:
        return pwd.getpwuid(int(os.environ.get("SUDO_UID", ""))).pw_name
    except (ValueError, KeyError, OverflowError):
        return None


def own_uid() -> int:
    """The number of the account that this process runs as; there may be no name to it."""
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        raise Refusal("set-id", "The mediator must not be installed set-user-id.")
    return os.getuid()


def own_account() -> Account:
    """The account that this process runs as, with the groups it really has."""
    try:
        entry = pwd.getpwuid(own_uid())
    except KeyError:
        raise Refusal(
            "no-account", "This account is not known to the name service: ask your administrator."
        ) from None
    _require_group(entry)
    return _account(entry, [*os.getgroups(), os.getgid()])


def uid_with_its_group() -> int:
    """As `own_uid`; where the number still has a name, it must run with that one's group."""
    uid = own_uid()
    with contextlib.suppress(KeyError):  # userdel: sudo then leaves us the group of its caller
        _require_group(pwd.getpwuid(uid))
    return uid


def _require_group(entry: pwd.struct_passwd) -> None:
    if os.getgid() != entry.pw_gid:  # sudo -g lets the hub choose among the person's groups
        raise Refusal("wrong-group", "The mediator must run with the account's own group.")


def account_of(name: str) -> Account | None:
    """The account of that name, or None."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return _account(entry, os.getgrouplist(entry.pw_name, entry.pw_gid))


def _account(entry: pwd.struct_passwd, gids: list[int]) -> Account:
    names = set()
    for gid in gids:
        with contextlib.suppress(KeyError):  # a number without a name is no group of ours
            names.add(grp.getgrgid(gid).gr_name)
    return Account(
        entry.pw_name,
        entry.pw_uid,
        entry.pw_gid,
        entry.pw_dir,
        entry.pw_shell,
        frozenset(names),
    )


def valid_shells() -> frozenset[str]:
    """What /etc/shells lists, see shells(5)."""
    try:
        with open("/etc/shells", encoding="utf-8", errors="replace") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except OSError:
        return frozenset({"/bin/sh", "/bin/bash"})  # what getusershell(3) falls back to, and bash
    return frozenset(line for line in lines if line.startswith("/"))


def may_read_hashes() -> bool:
    """Whether pam_unix can compare passwords; it can also where there is no such file."""
    return os.access("/etc/shadow", os.R_OK) or not os.path.exists("/etc/shadow")


def boot_id() -> str:
    """Changes with every boot, see random(4)."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def own_identity() -> ProcessIdentity:
    """This process, which exec keeps."""
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return ProcessIdentity(os.getpid(), int(fields[19]), boot_id())


def runtime_directories() -> list[str]:
    """Where we may write when the home takes nothing, the best first. Whose they are is not known.

    A stop has no PAM session that would tell where the one of the start was.
    """
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    told = [f"{session}/unixspawner"] if session.startswith("/") else []
    spare = paths.spare_directories(os.getuid())
    return [*told, *(path for path in spare if os.path.isdir(os.path.dirname(path)))]


def session_bus() -> dict[str, str]:
    """The variable that pam_systemd sets over ssh.

    Under sudo it looks with the eyes of the hub's account, which cannot see the person's bus.
    """
    bus = os.environ.get("XDG_RUNTIME_DIR", "") + "/bus"
    return {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus}"} if os.path.exists(bus) else {}


def try_first(work: Callable[[], bytes], patience: float) -> bytes:
    """What `work` returns in a process of its own, or b"" when it does not within `patience`.

    In a grandchild, so that it is nobody's to collect should it hang beyond any signal. Somebody
    who may not have one more process has the work done here.
    """
    reader, writer = os.pipe()
    try:
        forked = _fork_twice(work, writer, patience)
    finally:
        os.close(writer)
    with open(reader, "rb") as answer:
        if not forked:
            return work()
        return answer.read() if select.select([answer], [], [], patience)[0] else b""


def _fork_twice(work: Callable[[], bytes], writer: int, patience: float) -> bool:
    try:
        child = os.fork()
    except OSError:
        return False
    if child:
        return os.waitpid(child, 0)[1] == 0
    status = 1
    try:
        if os.fork() == 0:
            signal.alarm(math.ceil(patience))
            os.closerange(0, writer)  # should it hang, it holds nothing that others wait for
            os.closerange(writer + 1, 2**16)
            os.write(writer, work())
        status = 0
    finally:
        os._exit(status)


def own_slice_counts_tasks() -> bool:
    """Whether systemd keeps all of this account together and the kernel counts its processes there.

    Not without control groups of version 2, nor where the session was opened without pam_systemd.
    """
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
            is_in_slice = f"/user-{os.getuid()}.slice/" in file.read()
        with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
            return is_in_slice and "pids" in file.read().split()
    except OSError:
        return False


def limit_own_tasks(tasks: int) -> None:
    """Processes and threads of the account, wherever they are, as RLIMIT_NPROC has it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if hard == resource.RLIM_INFINITY or tasks < hard:
        resource.setrlimit(resource.RLIMIT_NPROC, (tasks, tasks))


def become_session_leader() -> None:
    """A session, a process group and signals of our own, as a login has them."""
    with contextlib.suppress(PermissionError):  # sudo made us a leader already
        os.setsid()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def become_program(
    command: list[str], environment: Mapping[str, str], listener: int, log_descriptor: int
) -> NoReturn:
    """Replace this process: input empty, output to the log, the listener as descriptor 3.

    Everything else is close-on-exec. The program finds its own libraries through the full
    path in its first argument.
    """
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(log_descriptor, 1)
    os.dup2(log_descriptor, 2)
    os.dup2(listener, SERVER_SOCKET_FD)
    os.execve(command[0], command, environment)  # noqa: S606  no shell is what we want


def log(priority: int, text: str) -> None:
    """One escaped, bounded record; a log that is down never fails a request."""
    with contextlib.suppress(OSError):
        syslog.syslog(priority, printable(text, 900))


def open_system_log(program: str) -> None:
    """Name ourselves in the system's log."""
    syslog.openlog(f"unixspawner-{program}", syslog.LOG_PID, syslog.LOG_AUTHPRIV)


def tell_operator(text: str) -> None:
    """A line for whoever reads sudo's standard error: the hub, or a person at a terminal."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"unixspawner: {printable(text, 900)}\n")
