"""The system accounts and groups: what is missing, and how it is made.

What exists already is used as it is and never removed. Where systemd runs, systemd-sysusers makes
them, elsewhere useradd and groupadd.
"""

import functools
import pwd

from . import services, system
from .changes import Change
from .errors import AdminError
from .manifest import Manifest
from .options import Options
from .paths import STATE

DEMO_ACCOUNT = "unixspawner-demo"
NO_SHELL = "/usr/sbin/nologin"
SHADOW = "shadow"
FIRST_PERSON = 1000
_POWERFUL = frozenset({"root", "sudo", "wheel", "shadow", "disk", "docker"})


def system_accounts(options: Options) -> dict[str, tuple[str, str]]:
    """Name: (home, comment)."""
    accounts = {
        options.hub_account: (str(STATE), "unixspawner hub and proxy"),
        options.pam_account: ("/nonexistent", "unixspawner password checks"),
    }
    if options.demo:
        accounts[DEMO_ACCOUNT] = ("/nonexistent", "unixspawner demo application")
    return accounts


def has_shadow_group() -> bool:
    return system.gid_of(SHADOW) is not None


def checking_account(options: Options) -> str:
    """Who checks passwords: root on systems where no group may read the hashes."""
    return options.pam_account if has_shadow_group() else "root"


def require_usable(options: Options, manifest: Manifest) -> None:
    """Refuse to hand our work to an existing account that could do more than it needs."""
    for name in system_accounts(options):
        uid = system.uid_of(name)
        if uid is not None and name not in manifest.accounts:
            _require_harmless(name, uid)
    hub = options.hub_account
    if powers := powers_of(hub):
        raise AdminError(
            f"The hub's account {hub} is in the group {powers[0]}, which would give too much to a "
            f"hub that is broken into: run `gpasswd -d {hub} {powers[0]}` or choose another "
            "account with --hub-account."
        )


def powers_of(name: str) -> list[str]:
    """The groups of an account that come with rights of their own."""
    if system.uid_of(name) is None:
        return []
    return sorted(_POWERFUL.intersection(system.group_names(name)))


def _require_harmless(name: str, uid: int) -> None:
    shell = pwd.getpwnam(name).pw_shell
    if uid == 0 or uid >= FIRST_PERSON or not shell.endswith(("nologin", "false")):
        raise AdminError(
            f"The account {name} exists and is a person's (uid {uid}, shell {shell}): choose other "
            "names with --hub-account and --pam-account."
        )


def plan(options: Options, manifest: Manifest) -> list[Change]:
    changes = []
    for group in (options.users_group, options.admins_group):
        if system.gid_of(group) is None:
            make = functools.partial(_make_group, group, manifest)
            changes.append(Change(f"create group {group}", make))
    for name, (home, comment) in system_accounts(options).items():
        if system.uid_of(name) is None:
            make = functools.partial(_make_account, name, home, comment, manifest)
            changes.append(Change(f"create system account {name}", make))
    changes += _plan_shadow(options.pam_account)
    return changes


def _plan_shadow(account: str) -> list[Change]:
    exists = system.uid_of(account) is not None
    if not has_shadow_group() or (exists and SHADOW in system.group_names(account)):
        return []
    add = functools.partial(system.run, ["usermod", "-aG", SHADOW, account])
    return [Change(f"add {account} to group {SHADOW}", lambda: _discard(add()))]


def _discard(_output: str) -> None:
    """What a tool said when it succeeded is of no interest."""


def _make_group(name: str, manifest: Manifest) -> None:
    manifest.remember(manifest.groups, name)
    if services.systemd_runs():
        system.run(["systemd-sysusers", "--inline", f"g {name} -"])
    else:
        system.run(["groupadd", "--system", name])


def _make_account(name: str, home: str, comment: str, manifest: Manifest) -> None:
    manifest.remember(manifest.accounts, name)
    if services.systemd_runs():
        system.run(["systemd-sysusers", "--inline", f'u {name} - "{comment}" {home} {NO_SHELL}'])
        return
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home]
    system.run([*command, "--shell", NO_SHELL, "--comment", comment, name])
