"""limits.toml: how much of the machine a person may use. Pure, apart from reading the file.

`[default]` is for everybody, `[group.NAME]` for the members of a Unix group, `[user.NAME]` for one
person. The most particular section that has a key counts: the person's own, else the most generous
of the person's groups, else the default; why, is in docs/adr/0021. `[profile.NAME]` is a size that
people may choose for one server, inside of what holds for all that they run (docs/adr/0027).
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from .config import LIMITS, ConfigError, load

UNLIMITED = "infinity"
PROFILE_VARIABLE = "UNIXSPAWNER_PROFILE"  # of the sudo that opens a session
LEAST_MEMORY = 64 * 2**20  # octets; with less not even a shell comes up
LEAST_TASKS, MOST_TASKS = 32, 2**22
_SIZE = re.compile(r"([1-9][0-9]{0,5})([MGT])", re.ASCII)
_PROFILE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_UNITS = {"M": 2**20, "G": 2**30, "T": 2**40}

Read = TypeVar("Read")


class Limits(NamedTuple):
    """What one section says, or all of them together. None: nothing; math.inf: no limit."""

    memory: float | None = None  # octets
    cpu: float | None = None  # processors
    tasks: float | None = None  # processes and threads
    io_weight: float | None = None


class Profile(NamedTuple):
    """A size to choose for one server. `title` and `description` are for people."""

    title: str
    description: str
    limits: Limits


class LimitsFile(NamedTuple):
    """`profiles` are in the order of the file."""

    default: Limits
    groups: dict[str, Limits]
    users: dict[str, Limits]
    profiles: dict[str, Profile]

    @property
    def sections(self) -> list[Limits]:
        profiles = (each.limits for each in self.profiles.values())
        return [self.default, *self.groups.values(), *self.users.values(), *profiles]

    @property
    def is_empty(self) -> bool:
        return all(section == NOTHING for section in self.sections)


NOTHING = Limits()


def read(path: str = LIMITS) -> LimitsFile:
    """Read the limits. A file that is not there says nothing.

    Raises:
        ConfigError: not root's, writable by others, or not what we expect in it.
    """
    try:
        return parse(load(path))
    except FileNotFoundError:
        return parse({})
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def parse(table: dict[str, Any]) -> LimitsFile:
    """Check names and values of everything; what is unknown is an error, not silence."""
    unknown = sorted(table.keys() - {"default", "group", "user", "profile"})
    if unknown:
        raise ConfigError(f"limits.toml has unknown sections: {unknown}")
    return LimitsFile(
        _section("default", table.get("default", {})),
        _sections("group", table.get("group", {}), _section),
        _sections("user", table.get("user", {}), _section),
        _sections("profile", table.get("profile", {}), _profile),
    )


def _sections(kind: str, value: object, read: Callable[[str, object], Read]) -> dict[str, Read]:
    if not isinstance(value, dict):
        raise ConfigError(f"limits.toml: {kind} must be sections such as [{kind}.NAME]")
    return {name: read(f"{kind}.{name}", each) for name, each in value.items()}


def _profile(section: str, value: object) -> Profile:
    table = dict(value) if isinstance(value, dict) else {}
    title, description = table.pop("title", ""), table.pop("description", "")
    if not _PROFILE.fullmatch(section.removeprefix("profile.")):
        raise ConfigError(f"limits.toml: [{section}] must be named in a-z, 0-9 and -")
    if not (isinstance(title, str) and title and isinstance(description, str)):
        raise ConfigError(f"limits.toml: [{section}] needs a title, and texts are in quotes")
    limits = _section(section, table)
    if limits.io_weight is not None:
        raise ConfigError(f"limits.toml: [{section}] cannot have io_weight, which is a person's")
    return Profile(title, description, limits)


def _section(title: str, value: object) -> Limits:
    if not isinstance(value, dict):
        raise ConfigError(f"limits.toml: [{title}] must be a section")
    unknown = sorted(value.keys() - _READERS.keys())
    if unknown:
        raise ConfigError(f"limits.toml: [{title}] has unknown keys: {unknown}")
    return Limits(**{key: _value(title, key, each) for key, each in value.items()})


def _value(title: str, key: str, value: object) -> float:
    reader, words = _READERS[key]
    found = math.inf if value == UNLIMITED and key != "io_weight" else reader(value)
    if found is None:
        raise ConfigError(f"limits.toml: [{title}] {key} must be {words}")
    return found


def _memory(value: object) -> float | None:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    octets = int(match[1]) * _UNITS[match[2]] if match else 0
    return octets if octets >= LEAST_MEMORY else None


def _cpu(value: object) -> float | None:
    if type(value) not in (int, float):  # a bool is an int as well
        return None
    return float(value) if 0.05 <= value <= 4096 else None  # type: ignore[operator, arg-type]


def _whole(least: int, most: int) -> Callable[[object], float | None]:
    return lambda value: value if type(value) is int and least <= value <= most else None


_READERS: dict[str, tuple[Callable[[object], float | None], str]] = {
    "memory": (_memory, 'a text such as "512M", "4G" or "infinity", and at least 64M'),
    "cpu": (_cpu, 'a number of processors such as 0.5 or 2, or "infinity"'),
    "tasks": (_whole(LEAST_TASKS, MOST_TASKS), 'a whole number of at least 32, or "infinity"'),
    "io_weight": (_whole(1, 10000), "a whole number from 1 to 10000"),
}


def limits_for(file: LimitsFile, name: str, groups: Iterable[str]) -> Limits:
    """What holds for an account that is in these groups."""
    own = file.users.get(name, NOTHING)
    of_groups = [file.groups[group] for group in groups if group in file.groups]
    return Limits(*(_choose(*each) for each in zip(own, file.default, *of_groups, strict=True)))


def _choose(own: float | None, default: float | None, *of_groups: float | None) -> float | None:
    if own is not None:
        return own
    granted = [value for value in of_groups if value is not None]
    return max(granted) if granted else default


def profiles_within(file: LimitsFile, bounds: Limits) -> dict[str, Profile]:
    """Those that give nobody less than they say, to somebody with these bounds."""
    return {
        name: profile
        for name, profile in file.profiles.items()
        if all(map(_is_within, profile.limits, bounds))
    }


def _is_within(wanted: float | None, bound: float | None) -> bool:
    return wanted is None or wanted == math.inf or bound is None or wanted <= bound


def properties(limits: Limits) -> dict[str, str]:
    """In the words of systemd.resource-control(5); only what something is said about."""
    known = {
        "MemoryMax": _amount(limits.memory),
        "CPUQuota": _percent(limits.cpu),
        "TasksMax": _amount(limits.tasks),
        "IOWeight": _amount(limits.io_weight),
    }
    return {name: value for name, value in known.items() if value is not None}


PROPERTIES = ("MemoryMax", "CPUQuota", "TasksMax", "IOWeight")


def _amount(value: float | None) -> str | None:
    if value is None:
        return None
    return UNLIMITED if value == math.inf else str(int(value))


def _percent(processors: float | None) -> str | None:
    """Of one processor; nothing after the equals sign means no limit."""
    if processors is None:
        return None
    return "" if processors == math.inf else f"{round(processors * 100)}%"
