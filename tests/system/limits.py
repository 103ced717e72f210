"""limits.toml for a while, and what has come of it. Run by pytest as root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.accounts import Account, Accounts, replaced_file
from tests.system.host import Host
from tests.system.logs import is_sudo_rs
from tests.system.service import has_systemd

LIMITS = "/etc/unixspawner/limits.toml"
PROGRAM = "/usr/local/libexec/unixspawner/session-limits"
LINE = f"session optional pam_exec.so quiet seteuid type=open_session {PROGRAM}"
SSHD = "/etc/pam.d/sshd"
SSHD_COMMAND = f"sed -i '1i {LINE}' {SSHD}"  # of docs/administrators.md
_TAKE_BACK = """
was_set=$(ls -d -- "$@" 2>/dev/null) || test -n "$was_set" || exit 0
rm -rf -- "$@"
systemctl daemon-reload
"""
_NAMES = ("MemoryMax", "CPUQuotaPerSecUSec", "TasksMax", "IOWeight")
WITHOUT_SYSTEMD = "without systemd nobody has a slice"
WITH_SUDO_RS = "sudo-rs opens no session of ours: servers are in nobody's slice"
NOT_ENFORCED = "this kernel keeps no limits of memory by control group: seen with tests/kernel"


def why_not_here(host: Host) -> str:
    """What keeps servers from having the session that ssh has; empty when nothing does."""
    if not has_systemd(host):
        return WITHOUT_SYSTEMD
    return WITH_SUDO_RS if is_sudo_rs(host) else ""


@contextmanager
def limits_file(host: Host, accounts: Accounts, text: str) -> Iterator[None]:
    """What was set meanwhile is taken back, as a reboot would."""
    with replaced_file(host, LIMITS, text):
        try:
            yield
        finally:
            if has_systemd(host):
                slices = [f"/run/systemd/system.control/{slice_of(each)}.d" for each in accounts]
                host.run("sh", "-ec", _TAKE_BACK, "sh", *slices)


@contextmanager
def bound_on_processes(host: Host, name: str, number: int) -> Iterator[None]:
    """RLIMIT_NPROC of whatever session of the account opens meanwhile, threads counted."""
    path = "/etc/security/limits.d/unixspawner-test.conf"
    line = f"{name} hard nproc {number}\n"
    host.run("install", "-m", "0644", "/dev/stdin", path, stdin=line)
    try:
        yield
    finally:
        host.run("rm", path)


def slice_of(account: Account) -> str:
    return f"user-{account.uid}.slice"


def properties(host: Host, account: Account) -> dict[str, str]:
    """What systemd holds everything of the account to."""
    return properties_of(host, slice_of(account), *_NAMES)


def properties_of(host: Host, unit: str, *names: str) -> dict[str, str]:
    words = [word for name in names for word in ("-p", name)]
    lines = host.run("systemctl", "show", unit, *words).out.splitlines()
    return dict(line.split("=", 1) for line in lines)


def count(host: Host, account: Account, file: str, name: str) -> int:
    """What the kernel has counted of everything of the account, such as `oom_kill` in
    memory.events."""
    path = f"/sys/fs/cgroup/user.slice/{slice_of(account)}/{file}"
    lines = host.run("cat", path).out.splitlines()
    return int(dict(line.split(" ", 1) for line in lines)[name])


def enforces_memory(host: Host) -> bool:
    path = "/sys/fs/cgroup/cgroup.controllers"
    return has_systemd(host) and "memory" in host.run("cat", path, check=False).out.split()


@contextmanager
def limits_for_ssh(host: Host) -> Iterator[None]:
    """By the command of docs/administrators.md."""
    text = host.run("cat", SSHD).out
    lines = [line for line in text.splitlines() if PROGRAM not in line]
    with replaced_file(host, SSHD, "\n".join([*lines, ""])):
        host.run("sh", "-c", SSHD_COMMAND)
        yield


def log_of(host: Host, account: Account, since: str) -> list[str]:
    """What session-limits has said about an account since a moment that `now` gave."""
    command = ("journalctl", "-q", "-o", "cat", "-t", "unixspawner-session-limits")
    said = host.run(*command, "--since", since).out.splitlines()
    return [line for line in said if f"user={account.name} " in line]


def now(host: Host) -> str:
    return host.run("date", "+%Y-%m-%d %H:%M:%S").out.strip()
