"""limits.toml: valid, about names that exist, set when sessions begin, and enforced."""

import grp
import pwd
from collections.abc import Callable, Iterator
from pathlib import Path

from unixspawner_mediator import limits
from unixspawner_mediator.config import ConfigError
from unixspawner_mediator.limits import Limits, LimitsFile

from .. import pam, paths, services, sudo, system
from ..findings import Finding, judge
from ..options import Options

CONTROLLERS = Path("/sys/fs/cgroup/cgroup.controllers")
# Key of limits.toml: what the kernel must be able to count by control group.
NEEDED = {"memory": "memory", "cpu": "cpu", "tasks": "pids", "io_weight": "io"}
LINE = f"session optional pam_exec.so quiet seteuid type=open_session {paths.SESSION_LIMITS}"


def check(_options: Options) -> Iterator[Finding]:
    cure = f"editor {paths.LIMITS}   # docs/administrators.md has all keys"
    try:
        file = limits.read(str(paths.LIMITS))
    except ConfigError as error:
        yield Finding("failure", f"{error}; until then no limits are set", cure)
        return
    yield Finding("ok", "limits.toml is valid" + (", and sets nothing" if file.is_empty else ""))
    if not file.is_empty:
        yield from _names(file, cure)
        yield _enforced(file)
        if services.systemd_runs():
            yield _slices()
            for name in _stacks():
                yield from _stack(name, pam.stack("session", paths.PAM / name))


def _names(file: LimitsFile, cure: str) -> Iterator[Finding]:
    for kind, names, find in (
        ("group", file.groups, grp.getgrnam),
        ("user", file.users, pwd.getpwnam),
    ):
        unknown = sorted(name for name in names if not _exists(name, find))
        text = f"every {kind} in limits.toml exists"
        wrong = f"limits.toml names {', '.join(unknown)}, and there is no such {kind}"
        yield judge(not unknown, text, cure, "warning", wrong=wrong)


def _exists(name: str, find: Callable[[str], object]) -> bool:
    try:
        find(name)
    except (KeyError, ValueError):
        return False
    return True


def _enforced(file: LimitsFile) -> Finding:
    there = (system.read_text(CONTROLLERS) or "").split() if services.systemd_runs() else []
    missing = [key for key in said(file) if NEEDED[key] not in there]
    served = "; tasks is kept for servers alone" if "tasks" in missing else ""
    wrong = f"this machine does not enforce {', '.join(missing)} of limits.toml{served}"
    cure = "it takes systemd and control groups of version 2 (systemd.unified_cgroup_hierarchy=1)"
    return judge(not missing, "the kernel enforces limits.toml", cure, "warning", wrong=wrong)


def said(file: LimitsFile) -> list[str]:
    """The keys that any section has."""
    return [key for key in Limits._fields if any(getattr(each, key) for each in file.sections)]


def _slices() -> Finding:
    """sudo-rs opens its own kind of session; a slice takes one with pam_systemd."""
    is_rs = sudo.is_sudo_rs()
    cure = "apt-get install sudo   # sudo-rs opens no session of ours"
    return judge(
        not is_rs and pam.makes_slices(paths.PAM),
        "servers are in the slice of their person",
        cure if is_rs else "pam-auth-update --enable systemd",
        "warning",
        wrong="servers are not in the slice of their person: of limits.toml they keep tasks alone",
    )


def _stacks() -> Iterator[str]:
    """The PAM services whose sessions should have limits: those of servers, and ssh."""
    if not sudo.is_sudo_rs():
        yield "unixspawner-session"
    if (paths.PAM / "sshd").exists():
        yield "sshd"


def _stack(name: str, lines: list[str]) -> Iterator[Finding]:
    path = paths.PAM / name
    cure = f"sed -i '1i {LINE}' {path}"
    ours = [number for number, line in enumerate(lines) if str(paths.SESSION_LIMITS) in line]
    wrong = f"{path} does not set limits: they hold only once a server of the person has started"
    if "sshd" not in path.name:
        wrong = f"{path} does not set limits, so starting a server sets none"
    yield judge(bool(ours), f"{path} sets limits", cure, "warning", wrong=wrong)
    if ours and any(reads_peoples_files(line) for line in lines[: ours[0]]):
        text = f"{path} lets people set variables before it runs session-limits as root"
        yield Finding("failure", text, f"sed -i '\\,{paths.SESSION_LIMITS},d' {path} && {cure}")


def reads_peoples_files(line: str) -> bool:
    """Whether pam_env takes variables, LD_PRELOAD among them, from a file in the home."""
    return "pam_env" in line and "user_readenv=1" in line
