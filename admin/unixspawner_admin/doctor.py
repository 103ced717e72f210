"""Examines an installation: what is right, what is wrong, and the cure. Changes nothing."""

import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import accounts, applications, pam, paths, services, sudo, sudo_version, system
from .options import Options

_WIDTH = 8


@dataclass(frozen=True)
class Finding:
    level: str  # "ok", "warning" or "failure"
    text: str
    cure: str = ""

    @property
    def is_failure(self) -> bool:
        return self.level == "failure"

    @property
    def line(self) -> str:
        return f"{self.level:{_WIDTH}}{self.text}" + (f": {self.cure}" if self.cure else "")


Check = Callable[[Options], Iterator[Finding]]


def examine(options: Options) -> list[Finding]:
    checks: list[Check] = [
        check_accounts,
        check_powers,
        check_files,
        check_pam,
        check_sudo,
        check_sockets,
        check_service,
        check_applications,
    ]
    return [finding for check in checks for finding in check(options)]


def judge(is_right: bool, text: str, cure: str, level: str = "failure") -> Finding:
    return Finding("ok", text) if is_right else Finding(level, f"not so: {text}", cure)


def check_accounts(options: Options) -> Iterator[Finding]:
    for name in accounts.system_accounts(options):
        exists = system.uid_of(name) is not None
        yield judge(exists, f"account {name} exists", "run ./install again")
    for name in (options.users_group, options.admins_group):
        exists = system.gid_of(name) is not None
        yield judge(exists, f"group {name} exists", "run ./install again")
    members = system.members(options.users_group)
    cure = f"usermod -aG {options.users_group} NAME"
    yield judge(bool(members), f"group {options.users_group} has members", cure, "warning")


def check_powers(options: Options) -> Iterator[Finding]:
    powers = accounts.powers_of(options.hub_account)
    cure = f"gpasswd -d {options.hub_account} {powers[0]}" if powers else ""
    yield judge(not powers, f"account {options.hub_account} is in no powerful group", cure)
    if accounts.has_shadow_group():
        name = options.pam_account
        has = system.uid_of(name) is not None and accounts.SHADOW in system.group_names(name)
        cure = f"usermod -aG {accounts.SHADOW} {name}"
        yield judge(has, f"account {name} can check passwords", cure)


def check_files(options: Options) -> Iterator[Finding]:
    hub = options.hub_account
    expected = {
        paths.LIBEXEC / "mediator": ("root", 0o755),
        paths.LIBEXEC / "authenticate": ("root", 0o755),
        paths.LIBEXEC / "server": ("root", 0o755),
        paths.SUDOERS: ("root", 0o440),
        paths.ETC / "mediator.toml": ("root", 0o644),
        paths.HUB_CONFIG: ("root", 0o644),
        paths.STATE: (hub, 0o700),
    }
    for path, (owner, mode) in expected.items():
        status = system.file_status(path)
        right = status is not None and (status.uid, status.mode) == (system.uid_of(owner), mode)
        cure = (
            "run ./install again"
            if status is None
            else f"chown {owner} {path}; chmod {mode:o} {path}"
        )
        yield judge(right, f"{path} belongs to {owner} with mode {mode:04o}", cure)
    yield from _check_writable()


def _check_writable() -> Iterator[Finding]:
    """Nothing that root or people run may be writable by others."""
    open_to_others = [
        path
        for top in (paths.LIBEXEC, paths.ETC)
        for path in [top, *top.rglob("*")]
        if not path.is_symlink() and path.lstat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ]
    first: Path | str = open_to_others[0] if open_to_others else ""
    text = "nothing in /etc/unixspawner and libexec is writable by others"
    yield judge(not open_to_others, text, f"chmod go-w {first}")


def check_pam(options: Options) -> Iterator[Finding]:
    for name in ("unixspawner", "unixspawner-session", *sorted(set(pam.stacks().values()))):
        path = paths.PAM / name
        yield judge(path.exists(), f"PAM service {path} exists", "run ./install again")


def check_sudo(options: Options) -> Iterator[Finding]:
    if shutil.which("sudo", path=system.SAFE_PATH) is None:
        yield Finding("failure", "sudo is not installed", "apt-get install sudo")
        return
    status, output = system.try_run([paths.SUDO, "-l", "-U", options.hub_account])
    rules = sudo.listed_rules(output)
    expected = sudo.expected_rules(options, accounts.checking_account(options), sudo.is_sudo_rs())
    cure = f"compare {paths.SUDOERS} with the one that ./install makes, and run visudo -c"
    right = status == 0 and rules == expected
    yield judge(right, f"sudo allows {options.hub_account} its three rules and no other", cure)
    text = (system.read_bytes(paths.SUDOERS) or b"").decode(errors="replace")
    everywhere = set(sudo.hosts_of_rules(text, options.hub_account)) == {"ALL"}
    yield judge(everywhere, f"the rules in {paths.SUDOERS} are for every host", cure)
    if not sudo.is_sudo_rs():
        yield _judge_version(*sudo_version.is_corrected())


def _judge_version(version: str, is_corrected: bool | None) -> Finding:
    """Holes that would make our rules beside the point."""
    text = f"sudo {version} has the corrections of CVE-2025-32462 and CVE-2025-32463"
    if is_corrected is None:
        cure = "not known here, look for both in the changelog of the package"
        return judge(False, text, cure, "warning")
    return judge(is_corrected, text, "apt-get install sudo")


def check_sockets(options: Options) -> Iterator[Finding]:
    if not services.runs(services.HUB):
        return
    status = system.file_status(paths.RUN)
    owner = (system.uid_of(options.hub_account), system.gid_of(options.users_group), 0o710)
    right = status is not None and (status.uid, status.gid, status.mode) == owner
    yield judge(right, f"{paths.RUN} lets only members of {options.users_group} pass", _restart())
    for name, mode in (("hub.sock", 0o666), ("proxy-api.sock", 0o700), ("servers", 0o700)):
        status = system.file_status(paths.RUN / name)
        right = status is not None and status.mode & ~mode == 0
        yield judge(right, f"{paths.RUN / name} is there, open to no more than needed", _restart())


def _restart() -> str:
    return (
        "systemctl restart unixspawner"
        if services.systemd_runs()
        else f"{services.HUB.script} restart"
    )


def check_service(options: Options) -> Iterator[Finding]:
    wanted = [services.HUB, services.DEMO] if options.demo else [services.HUB]
    for service in wanted:
        yield judge(services.runs(service), f"service {service.name} runs", _restart())
        enabled = services.is_enabled(service)
        cure = "run ./install again"
        yield judge(enabled, f"service {service.name} starts at boot", cure, "warning")
    cure = f"read {paths.HUB_LOG} or journalctl -u unixspawner"
    answers = services.answers(options.url, options.hub_account)
    yield judge(answers, f"the service answers at {options.url}", cure)


def check_applications(options: Options) -> Iterator[Finding]:
    for found in applications.check(options):
        yield Finding(found.level, found.text, found.cure)
