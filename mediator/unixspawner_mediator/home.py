"""The home directory, and the server's log in it. Run by the mediator as the person.

No home decides whether a server starts. One that is missing, closed or full is said, and so is one
on a mount that hangs: who touches that may never come back, so somebody else goes there first. A
start-up file that cannot be read is said as well: shells go on without it.
"""

import contextlib
import errno
import os
import stat
import time

from . import paths, system
from .policy import Account

PATIENCE = 10.0  # seconds; an automounter may need some
READING = 2.0
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

SENTENCES = {
    "home-missing": "Your home directory {home} does not exist: ask your administrator.",
    "home-unreadable": "You may not enter your home directory {home}: ask your administrator "
    "to check its owner and permissions.",
    "home-broken": "Your home directory {home} cannot be used ({reason}): ask your administrator.",
    "home-hangs": "Your home directory {home} does not answer, its file server may be down: "
    "ask your administrator, and start your server again when it is back.",
    "quota-full": "Your disk quota is used up: delete files in {home} or ask your administrator "
    "for more. Until then nothing can be saved.",
    "home-full": "The disk with your home directory {home} is full: delete files there or ask "
    "your administrator. Until then nothing can be saved.",
    "home-not-writable": "Nothing can be written to your home directory {home} ({reason}): "
    "ask your administrator.",
    "dotfile-unreadable": "Your start-up file {reason} cannot be read: run `chmod u+r {reason}`, "
    "or ask your administrator. Until then your applications start without it.",
}
_ENTERING: dict[int | None, str] = {
    errno.ENOENT: "home-missing",
    errno.ENOTDIR: "home-missing",
    errno.EACCES: "home-unreadable",
    errno.EPERM: "home-unreadable",
}
_WRITING: dict[int | None, str] = {errno.EDQUOT: "quota-full", errno.ENOSPC: "home-full"}
_LOG_IS_THERE = ("", "dotfile-unreadable")
_Files = tuple[tuple[str, ...], ...]
# Of each group a shell reads the first that it can.
_OF_BASH: _Files = ((".bash_profile", ".bash_login", ".profile"), (".bashrc",))
_START_UP_FILES: dict[str, _Files] = {
    "bash": _OF_BASH,
    "rbash": _OF_BASH,
    "zsh": ((".zshenv",), (".zprofile",), (".zshrc",), (".zlogin",)),
    "fish": (),  # its file is below .config, which may lead to a file server that hangs
    "csh": ((".cshrc",), (".login",)),
    "tcsh": ((".tcshrc", ".cshrc"), (".login",)),
}
_OF_SH: _Files = ((".profile",),)  # which stands in for a shell that is not known here


def prepare(account: Account, server_name: str) -> tuple[int, str, str]:
    """Enter the home if it will have us, else `/`.

    Returns the log's descriptor, and a code and a sentence when something is wrong, else "".
    """
    log = paths.server_log(account.home, server_name)
    found = system.try_first(lambda: _visit(account, log), PATIENCE)
    code, reason = (found or b"home-hangs\0").decode().split("\0")
    may_enter = code in (*_LOG_IS_THERE, "home-not-writable", *_WRITING.values())
    os.chdir(account.home if may_enter else "/")
    sentence = SENTENCES[code].format(home=account.home, reason=reason) if code else ""
    try:
        if code not in _LOG_IS_THERE:
            log = paths.spare_log(system.runtime_directories()[0], server_name)
            _begin_log(log)
        return os.open(log, _APPEND), code, sentence
    except OSError:
        return os.open(os.devnull, _APPEND), code, sentence


def _visit(account: Account, log: str) -> bytes:
    """A code and the reason, both empty when home and log will do."""
    try:
        os.chdir(account.home)
    except OSError as error:
        return f"{_ENTERING.get(error.errno, 'home-broken')}\0{error.strerror}".encode()
    try:
        _begin_log(log)
    except OSError as error:
        return f"{_WRITING.get(error.errno, 'home-not-writable')}\0{error.strerror}".encode()
    closed = unreadable_file(account)
    return f"dotfile-unreadable\0~/{closed}".encode() if closed else b"\0"


def unreadable_file(account: Account) -> str:
    """The first start-up file of the login shell that is there and closed to its owner, else "".

    Links are left out: they may lead to a file server that hangs, which is not the home then.
    """
    for group in _START_UP_FILES.get(os.path.basename(account.shell), _OF_SH):
        there = [name for name in group if _is_file(f"{account.home}/{name}")]
        if there and not any(os.access(f"{account.home}/{name}", os.R_OK) for name in there):
            return there[0]
    return ""


def _is_file(path: str) -> bool:
    return not os.path.islink(path) and os.path.isfile(path)


def _begin_log(path: str) -> None:
    """A fresh log with one line, which shows that there is room. The log before it is kept."""
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.lstat(folder).st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "another account's directory")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, f"{path}.1")
    descriptor = os.open(path, _APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, time.strftime("%Y-%m-%d %H:%M:%S start\n").encode())
    finally:
        os.close(descriptor)


def last_words(account: Account, server_name: str, limit: int) -> bytes:
    """The end of the newer log, the one in the home or a spare one; empty when there is none."""
    logs = [paths.server_log(account.home, server_name)]
    logs += [paths.spare_log(folder, server_name) for folder in system.runtime_directories()]
    return system.try_first(lambda: read_newest(logs, limit), READING)


def read_newest(logs: list[str], limit: int) -> bytes:
    """Our own regular files only: anything else at such a path is a trap."""
    newest, words = -1.0, b""
    for path in logs:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            status = os.fstat(descriptor)
            is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
            if is_ours and status.st_mtime > newest:
                newest = status.st_mtime
                words = os.pread(descriptor, limit, max(0, status.st_size - limit))
            os.close(descriptor)
    return words
