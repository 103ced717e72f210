"""Whom this service is for: the members of the users' group, and what each of them can do now.

Not every name service lists everybody: who is a member only by his primary group shows where
accounts are enumerated, or when the hub or the process table knows the name; each of those is asked
about by name, as at sign-in.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from unixspawner_mediator import config as mediator_config
from unixspawner_mediator import policy
from unixspawner_mediator import system as mediator_system
from unixspawner_mediator.config import Config, ConfigError
from unixspawner_mediator.errors import Refusal
from unixspawner_mediator.protocol import USER_NAME

from . import hub_api, running, shadow, system
from .errors import AdminError
from .hub_api import HubUser
from .options import Options

NOT_A_MEMBER = "not a member"
_WORDS = {
    "system-account": "system account",
    "no-shell": "no login shell",
    "not-a-member": NOT_A_MEMBER,
}
_LISTED_BY = frozenset({"files", "compat", "systemd", "db"})


@dataclass(frozen=True)
class Person:
    """`trouble` is empty when nothing is known to be in the way; `signed_in` None: nobody knows."""

    name: str
    trouble: str
    signed_in: bool | None
    servers: tuple[str, ...]
    last_activity: datetime | None
    administrator: bool


@dataclass(frozen=True)
class People:
    """`remarks` are sentences about what this list cannot know."""

    people: tuple[Person, ...]
    remarks: tuple[str, ...]


def find(options: Options) -> People:
    known, remarks = _ask_hub(options)
    servers = _servers(options)
    listed = system.members(options.users_group)
    more = (name for name in known or {} if _is_member(name, options))
    names = sorted({*listed, *more, *servers})
    signed_in = _signed_in(options, known, names)
    troubles = _troubles(names, options)
    found = tuple(
        Person(
            name=name,
            trouble=troubles[name],
            signed_in=None if signed_in is None else name in signed_in,
            servers=tuple(servers.get(name, ())),
            last_activity=known[name].last_activity if known and name in known else None,
            administrator=_is_administrator(name, options),
        )
        for name in names
    )
    return People(found, (*remarks, *_about_the_name_service()))


def _ask_hub(options: Options) -> tuple[dict[str, HubUser] | None, tuple[str, ...]]:
    try:
        return {user.name: user for user in hub_api.users(options)}, ()
    except AdminError as error:
        sentence = f"Without the hub nobody knows who is signed in or was active when: {error}"
        return None, (sentence,)


def _servers(options: Options) -> dict[str, list[str]]:
    """Account: names of its servers, as /proc shows them."""
    found: dict[str, list[str]] = {}
    for server in running.servers(options.hub_account):
        found.setdefault(server.account, []).append(server.name)
    return found


def _signed_in(
    options: Options, known: dict[str, HubUser] | None, names: Iterable[str]
) -> set[str] | None:
    if known is None:
        return None
    try:
        return hub_api.signed_in(options, [name for name in names if name in known])
    except AdminError:
        return None


def _troubles(names: Iterable[str], options: Options) -> dict[str, str]:
    """What is in the way of each, as the mediator and PAM will see it."""
    config = _mediator_config(options)
    passwords = shadow.troubles(names)
    shells = mediator_system.valid_shells()
    return {name: _trouble(name, config, shells) or passwords.get(name, "") for name in names}


def _mediator_config(options: Options) -> Config:
    try:
        return mediator_config.read()
    except ConfigError:  # doctor says so
        return Config(options.hub_account, options.users_group, ["/"])


def _trouble(name: str, config: Config, shells: frozenset[str]) -> str:
    account = mediator_system.account_of(name)
    if account is None:
        return "no such account"
    if not USER_NAME.fullmatch(name):
        return "name not accepted"
    try:
        policy.require_may_use(config, account, shells)
    except Refusal as refusal:
        return _WORDS.get(refusal.code, refusal.code)
    return ""


def _is_member(name: str, options: Options) -> bool:
    return _is_in(name, options.users_group)


def _is_administrator(name: str, options: Options) -> bool:
    return _is_member(name, options) and _is_in(name, options.admins_group)


def _is_in(name: str, group: str) -> bool:
    return system.uid_of(name) is not None and group in system.group_names(name)


def _about_the_name_service(path: Path = Path("/etc/nsswitch.conf")) -> tuple[str, ...]:
    """A remark where accounts come from something that need not list them all."""
    text = system.read_text(path) or ""
    found = re.findall(r"^(?:passwd|group):(.*)$", text, re.MULTILINE)
    sources = {word for line in found for word in re.sub(r"\[[^]]*\]", " ", line).split()}
    others = sorted(sources - _LISTED_BY)
    if not others:
        return ()
    return (
        f"Accounts also come from {', '.join(others)}, which may not list them all: who has never "
        "signed in here may be missing. `getent group` and `id NAME` tell of one of them.",
    )
