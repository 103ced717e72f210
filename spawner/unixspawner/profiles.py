"""The sizes that people may choose from before a start: [profile.NAME] of limits.toml.

Runs in the hub, which passes on a name and no figures: `session-limits` has those from root's file.
Only what fits into the bounds of the person is offered.
"""

import logging
import math
from collections.abc import Mapping
from html import escape
from typing import Any

from unixspawner_mediator import limits, name_service
from unixspawner_mediator.config import ConfigError
from unixspawner_mediator.limits import LimitsFile, Profile
from unixspawner_mediator.name_service import UnavailableError
from unixspawner_mediator.protocol import printable

from . import lookups
from .errors import AskError

FIELD = "profile"
PATIENCE = 1.5  # seconds for the name service
_UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"))


async def form_for(spawner: Any) -> str:
    """What `options_form` is by default: the fields of the page before a start, "" for no page."""
    return form(await offered(spawner.account, spawner.log), spawner.user_options or {})


async def chosen_for(spawner: Any) -> str:
    """The name that a start goes on with.

    The hub keeps options for starts that bring none; not those that were refused.

    Raises:
        AskError: as `choose`.
    """
    options = spawner.user_options or {}
    try:
        return choose(await offered(spawner.account, spawner.log), options)
    except AskError:
        kept = {name: value for name, value in options.items() if name != FIELD}
        spawner.user_options = spawner.orm_spawner.user_options = kept
        spawner.user.db.commit()
        raise


async def offered(account: str, log: logging.Logger) -> dict[str, Profile]:
    """What this person may choose from, in the order of the file; nothing when it has none."""
    try:
        file = limits.read()
    except ConfigError as error:
        log.error("Nobody is asked for a size: %s", error)
        return {}
    if not file.profiles:
        return {}
    try:
        groups = await lookups.call(lambda: _groups_of(account, file), PATIENCE)
    except (lookups.NoAnswerError, UnavailableError):
        groups = set()  # a start says by itself what is wrong
    return limits.profiles_within(file, limits.limits_for(file, account, groups))


def _groups_of(account: str, file: LimitsFile) -> set[str]:
    """Of the groups with limits, those that the account is in."""
    entry = name_service.find_account(account)
    gids = name_service.group_ids(account, entry.gid) if entry else frozenset()
    return {name for name in file.groups if name_service.find_group(name) in gids}


def choose(profiles: Mapping[str, Profile], options: Mapping[str, Any]) -> str:
    """The name of the chosen one, or of the first; "" when there is no choice.

    Raises:
        AskError: it was asked for one that this person cannot have.
    """
    if not profiles:
        return ""
    wanted = _wanted(options)
    if wanted and wanted not in profiles:
        raise AskError(
            "no-such-profile",
            f"There is no size {printable(wanted, 40)} for you: choose {_in_words(profiles)}.",
        )
    return wanted or next(iter(profiles))


def _wanted(options: Mapping[str, Any]) -> str:
    """Of a form, which has lists, or of the API."""
    value = options.get(FIELD)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return str(value) if value else ""


def _in_words(profiles: Mapping[str, Profile]) -> str:
    *others, last = profiles
    return f"{', '.join(others)} or {last}" if others else last


def form(profiles: Mapping[str, Profile], options: Mapping[str, Any]) -> str:
    """With the choice of the last time."""
    if not profiles:
        return ""
    last = _wanted(options)
    chosen = last if last in profiles else next(iter(profiles))
    rows = (_row(name, profile, name == chosen) for name, profile in profiles.items())
    return f'<fieldset class="profiles"><legend>Size</legend>{"".join(rows)}</fieldset>'


def _row(name: str, profile: Profile, is_chosen: bool) -> str:
    lines = [f"<strong>{escape(profile.title)}</strong>", f"<span>{amounts(profile)}</span>"]
    if profile.description:
        lines.append(f"<span>{escape(profile.description)}</span>")
    checked = " checked" if is_chosen else ""
    return (
        f'<label><input type="radio" name="{FIELD}" value="{name}"{checked}>'
        f"<span>{''.join(lines)}</span></label>"
    )


def amounts(profile: Profile) -> str:
    """For people."""
    memory, cpu, tasks, _ = (value if value != math.inf else None for value in profile.limits)
    words = [
        f"{_size(memory)} of memory" if memory else "",
        _counted(cpu, "processor", "processors") if cpu else "",
        _counted(tasks, "process", "processes and threads") if tasks else "",
    ]
    return ", ".join(word for word in words if word) or "as much as you may use"


def _size(octets: float) -> str:
    unit, name = next(each for each in _UNITS if octets >= each[0])
    return f"{octets / unit:g} {name}"


def _counted(number: float, one: str, more: str) -> str:
    return f"{number:g} {one if number == 1 else more}"
