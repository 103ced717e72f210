"""Decides whom we serve. Pure: what it judges comes from the system, never from the hub."""

from typing import NamedTuple

from .config import Config
from .errors import Refusal
from .sentences import not_a_member

HUB_VARIABLES = "JUPYTERHUB_"
NO_LOGIN = ("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false")


class Account(NamedTuple):
    """A Unix account as the name service tells it; `groups` are names, the primary one included."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: frozenset[str]


def require_caller(config: Config, caller: str | None) -> None:
    """Only the hub's account may ask. `caller` is who ran sudo, as sudo tells it."""
    if caller != config.hub_account:
        raise Refusal(
            "not-the-hub",
            "Only the hub may ask this: sign in on the web page instead.",
            f"caller is {caller}",
        )


def require_same_account(account: Account, requested: str) -> None:
    """The account that sudo made us must be the one that the hub meant."""
    if account.name != requested:
        raise Refusal(
            "wrong-account",
            "The account name is spelled differently on this machine: "
            f"sign in as {account.name} or ask your administrator.",
            f"asked for {requested}, running as {account.name}",
        )


def require_same_uid(uid: int, requested: int) -> None:
    """What sudo made us must be what the hub meant, whatever it is called by now."""
    if uid != requested:
        raise Refusal(
            "wrong-account",
            "The hub asked about another account than it named: "
            "ask your administrator to run `unixspawner doctor`.",
            f"asked for uid {requested}, running as {uid}",
        )


def require_person(config: Config, name: str, uid: int) -> None:
    """System accounts are nobody to serve."""
    if uid < config.min_uid:
        raise Refusal(
            "system-account",
            f"{name} is a system account and cannot use this service: "
            "sign in with your own account.",
            f"uid {uid} is under {config.min_uid}",
        )


def require_shell(account: Account, valid_shells: frozenset[str]) -> None:
    """What keeps people out of ssh keeps them out here."""
    if account.shell in NO_LOGIN or account.shell not in valid_shells:
        raise Refusal(
            "no-shell",
            f"The account {account.name} may not log in on this machine (its shell is "
            f"{account.shell or 'not set'}): ask your administrator.",
        )


def require_member(config: Config, account: Account) -> None:
    """Membership of one group is the whole of our permission."""
    if config.users_group not in account.groups:
        raise Refusal(*not_a_member(account.name, config.users_group))


def require_may_use(config: Config, account: Account, valid_shells: frozenset[str]) -> None:
    """All that an account needs, to sign in as well as to be started."""
    require_person(config, account.name, account.uid)
    require_shell(account, valid_shells)
    require_member(config, account)


def choose_environment(
    config: Config, requested: dict[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Split what the hub wants to set into the allowed variables and the names of the others."""
    allowed = set(config.environment)
    taken = {
        name: value
        for name, value in requested.items()
        if name.startswith(HUB_VARIABLES) or name in allowed
    }
    return taken, sorted(requested.keys() - taken.keys())


def server_environment(
    config: Config, account: Account, session: dict[str, str], server_id: str
) -> dict[str, str]:
    """The server's environment without what the hub adds.

    `session` is what sudo and the PAM session set (KRB5CCNAME, XDG_RUNTIME_DIR, …).
    """
    environment = {k: v for k, v in session.items() if not k.startswith(("SUDO_", "UNIXSPAWNER_"))}
    environment |= {
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": account.shell,
        "PATH": config.path,
        "UNIXSPAWNER_SERVER_ID": server_id,
    }
    return environment
