"""The system accounts, the two groups, and who is in them."""

import pwd
from collections.abc import Iterator

from .. import accounts, release, shadow, system
from ..findings import Finding, judge
from ..options import Options


def check(options: Options) -> Iterator[Finding]:
    for name in accounts.system_accounts(options):
        yield _account(name)
    yield _lasts(options.hub_account)
    for name in (options.users_group, options.admins_group):
        exists = system.gid_of(name) is not None
        cure = f"groupadd --system {name}"
        yield judge(exists, f"group {name} exists", cure, wrong=f"there is no group {name}")
    yield from _members(options)
    yield from _powers(options)


def _account(name: str) -> Finding:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return Finding("failure", f"there is no account {name}", release.installer())
    is_closed = entry.pw_uid != 0 and entry.pw_shell.endswith(("nologin", "false"))
    text = f"account {name} exists and nobody can log in with it"
    wrong = f"account {name} has uid {entry.pw_uid} and the shell {entry.pw_shell or '(none)'}"
    return judge(is_closed, text, f"usermod -s /usr/sbin/nologin {name}", wrong=wrong)


def _lasts(hub: str) -> Finding:
    """sudo asks PAM of it where our PAM service does not answer: sudo-rs, or an edited file."""
    has_expired = shadow.troubles([hub]).get(hub) == shadow.EXPIRED
    wrong = f"account {hub} has expired, and sudo may refuse it"
    text, cure = f"account {hub} has not expired", f"chage -E -1 {hub}"
    return judge(not has_expired, text, cure, "warning", wrong=wrong)


def _members(options: Options) -> Iterator[Finding]:
    users, admins = options.users_group, options.admins_group
    members = system.members(users)
    yield judge(
        bool(members),
        f"group {users} has members",
        f"usermod -aG {users} NAME",
        "warning",
        wrong=f"group {users} has no members: nobody can sign in",
    )
    for name in system.members(admins):
        yield judge(
            users in system.group_names(name) if system.uid_of(name) is not None else False,
            f"administrator {name} is in {users} too",
            f"usermod -aG {users} {name}",
            "warning",
            wrong=f"{name} is in {admins} but not in {users}, and so cannot sign in",
        )


def _powers(options: Options) -> Iterator[Finding]:
    hub, checking = options.hub_account, options.pam_account
    powers = accounts.powers_of(hub)
    yield judge(
        not powers,
        f"account {hub} is in no powerful group",
        f"gpasswd -d {hub} {powers[0]}" if powers else "",
        wrong=f"account {hub} is in the group {' '.join(powers)}, too much for a hub",
    )
    if accounts.has_shadow_group():
        has = system.uid_of(checking) is not None
        has = has and accounts.SHADOW in system.group_names(checking)
        cure = f"usermod -aG {accounts.SHADOW} {checking}"
        wrong = f"account {checking} is not in the group {accounts.SHADOW}: nobody can sign in"
        yield judge(has, f"account {checking} can check passwords", cure, wrong=wrong)
