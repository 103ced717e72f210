"""Reads mediator.toml: who may call, whom we serve, and the one program that we start.

The path is a constant and root owns the file, so that neither the hub nor the person chooses
what runs. The check looks at the open descriptor: the file that is read is the file checked.
"""

import os
import stat
from typing import Any, NamedTuple, get_type_hints

from .known import TABLES
from .protocol import VARIABLE

PATH = "/etc/unixspawner/mediator.toml"
LIMITS = "/etc/unixspawner/limits.toml"


class ConfigError(Exception):
    """A file of root's cannot be used as it is; the text says what to change."""


class Config(NamedTuple):
    """mediator.toml. Every setting is described in docs/administrators.md."""

    hub_account: str
    users_group: str
    command: list[str]
    path: str = "/usr/local/bin:/usr/bin:/bin"
    environment: list[str] = []  # noqa: RUF012  read-only: a tuple's default, never changed
    min_uid: int = 1000
    umask: str = ""  # the session's own
    pam_service: str = "unixspawner"


def read(path: str = PATH) -> Config:
    """Read the configuration.

    Raises:
        ConfigError: missing, not root's, writable by others, or not what we expect in it.
    """
    try:
        return parse(load(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def load(path: str) -> dict[str, Any]:
    """The content of a TOML file that nobody but root can have written.

    Raises:
        ConfigError: not root's, writable by others, or not TOML.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        require_root_owned(os.fstat(file.fileno()), path)
        text = file.read()
    if text in TABLES:
        return TABLES[text]
    import tomllib  # a fifth of a mediator's processor time, and mostly not needed

    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def is_empty(path: str) -> bool:
    """Whether a file of root's is missing or sets nothing. One that cannot be used is not empty."""
    try:
        return not load(path)
    except FileNotFoundError:
        return True
    except (ConfigError, OSError):
        return False


def require_root_owned(status: os.stat_result, path: str) -> None:
    """Refuse what anybody but root could have written."""
    if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"{path} must belong to root and be writable by root alone")


def parse(table: dict[str, Any]) -> Config:
    """Check names and types of all settings; unknown ones are errors, not silence."""
    hints = get_type_hints(Config)
    unknown = table.keys() - hints.keys()
    missing = hints.keys() - Config._field_defaults.keys() - table.keys()
    if unknown or missing:
        raise ConfigError(f"unknown settings: {sorted(unknown)}, missing: {sorted(missing)}")
    for name, value in table.items():
        if not _fits(value, hints[name]):
            raise ConfigError(f"{name} has the wrong type")
    config = Config(**table)
    _check_values(config)
    return config


def _fits(value: object, hint: object) -> bool:
    if hint is int:
        return type(value) is int
    if hint is str:
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(member, str) for member in value)


def _check_values(config: Config) -> None:
    if config.min_uid < 1:
        raise ConfigError("min_uid must be at least 1: root is never served")
    if not config.command or not config.command[0].startswith("/"):
        raise ConfigError("command must begin with the absolute path of a program")
    if config.umask and not (len(config.umask) == 4 and set(config.umask) <= set("01234567")):
        raise ConfigError("umask must be four octal digits, such as 0022")
    for name in config.environment:
        if not VARIABLE.fullmatch(name):
            raise ConfigError(f"environment: {name!r} is not the name of a variable")
