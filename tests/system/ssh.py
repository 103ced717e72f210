"""ssh sessions of people on the machine under test. Run by pytest as root."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.system.accounts import Account, changed
from tests.system.host import Host, wait_for
from tests.system.people import processes_of

_CLIENT = (
    *("ssh", "-F", "/dev/null", "-tt", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"),
    *("-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
)
# What the kernel knows of one process, as root sees it.
_PROGRAM = r"""
import json, os, re, sys
folder = f"/proc/{sys.argv[1]}"
def read(name):
    with open(f"{folder}/{name}", "rb") as file:
        return file.read().decode("utf-8", "replace")
status = dict(line.split(":\t", 1) for line in read("status").splitlines())
kept = ("Uid", "Gid", "Groups", "Umask", "NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff",
        "CapBnd", "CapAmb", "Cpus_allowed", "Mems_allowed")
stat = read("stat").rpartition(")")[2].split()
json.dump({
    "kernel": {name: sorted(status[name].split()) for name in kept if name in status}
        | {"loginuid": read("loginuid"), "nice": stat[16], "policy": stat[38]}
        | {f"namespace {name}": os.readlink(f"{folder}/ns/{name}")
           for name in sorted(os.listdir(f"{folder}/ns"))}
        | {"root": os.readlink(f"{folder}/root")},
    "limits": {re.split(r"\s{2,}", line)[0]: re.split(r"\s{2,}", line)[1:3]
               for line in read("limits").splitlines()[1:]},
    "group": next((line[3:] for line in read("cgroup").splitlines() if line.startswith("0::")), ""),
    "oom_score_adj": int(read("oom_score_adj")),
    "directory": os.readlink(f"{folder}/cwd"),
    "environment": dict(pair.split("=", 1) for pair in read("environ").split("\0") if "=" in pair),
}, sys.stdout)
"""


@dataclass(frozen=True)
class Session:
    """One process, with all that it has from the way in which it was started."""

    kernel: dict[str, Any]
    limits: dict[str, list[str]]
    group: str
    oom_score_adj: int
    directory: str
    environment: dict[str, str]


def session_of(host: Host, pid: int) -> Session:
    out = host.run("/usr/bin/python3", "-I", "-c", _PROGRAM, str(pid)).out
    return Session(**json.loads(out))


@contextmanager
def signed_in(host: Host, account: Account, *words: str) -> Iterator[int]:
    """A terminal with an interactive login shell over ssh, in which a command runs: its number."""
    wanted = words or ("sleep", "1000")
    with key_of(host, account) as key:
        inner = shlex.quote(f"exec {shlex.join(wanted)}")
        command = (
            *_client(host, account, key),
            f"exec {shell_of(host, account)} -ilc {inner}",
        )
        script = 'exec "$@" >"$0" 2>&1 </dev/null & echo $!'
        client = host.run("sh", "-c", script, f"{key}.said", *command).out.strip()
        try:
            yield wait_for(f"ssh of {account.name}", lambda: _running(host, account, wanted))
        finally:
            host.run("kill", client, check=False)
            wait_for("the end of ssh", lambda: _running(host, account, wanted) is None)


def _client(host: Host, account: Account, key: str) -> tuple[str, ...]:
    where = ("-p", _port(host), f"{account.name}@127.0.0.1")
    return (*_CLIENT, "-i", key, *where)


def _port(host: Host) -> str:
    """Containers share a network, and their sshd have ports of their own (tests/container)."""
    settings = host.run("/usr/sbin/sshd", "-T").out.splitlines()
    return next(line.split()[1] for line in settings if line.startswith("port "))


def _running(host: Host, account: Account, words: tuple[str, ...]) -> int | None:
    found = [each.pid for each in processes_of(host, account.name) if each.command == [*words]]
    return found[0] if found else None


def shell_of(host: Host, account: Account) -> str:
    return host.run("getent", "passwd", account.name).out.strip().rpartition(":")[2]


@contextmanager
def key_of(host: Host, account: Account) -> Iterator[str]:
    """A key that opens the account, for as long as this lasts."""
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    key, home = f"{folder}/key", f"{account.home}/.ssh"
    try:
        host.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        public = host.run("cat", f"{key}.pub").out
        host.as_account(account.name, "mkdir", "-m", "0700", home)
        with changed(host, ("true",), ("rm", "-rf", home)):
            host.as_account(account.name, "tee", f"{home}/authorized_keys", stdin=public)
            host.run("chmod", "0600", f"{home}/authorized_keys")
            yield key
    finally:
        host.run("rm", "-rf", folder)
