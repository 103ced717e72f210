"""What a file in apps.d may say: every key, with its type and its limits.

Run as the person signed in. Whoever holds an `Application` knows that every value was checked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from .catalogue import Application, Command, Shell, Upstream
from .errors import InvalidApplicationError
from .placeholders import first_unknown, mentions

MAX_TITLE, MAX_DESCRIPTION, MAX_WORD, MAX_WORDS, MAX_LIST = 100, 1000, 4096, 200, 100
MAX_SOCKET = 107  # bytes that fit into an address of the kernel's
MAX_START, MAX_IDLE = 3600.0, 31 * 86400.0
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_ICON = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.(?:svg|png)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_URL = re.compile(r"[!-~]+")  # what a parser might drop or change is not in it
_SHELLS: dict[str, Shell] = {"interactive": "interactive", "login": "login", "none": "none"}

KINDS = ("url", "socket", "command")
OF_A_COMMAND = ("directory", "environment", "start_timeout", "idle_timeout", "shell")
KEYS = frozenset(
    {"title", "description", "icon", "groups", "root", "prefix", *KINDS, *OF_A_COMMAND}
)

Table = dict[str, object]
Value = TypeVar("Value")


def parse(name: str, table: Table, directory: str = "") -> Application:
    """An application from a parsed file of `directory`. Raises InvalidApplicationError."""
    if not _NAME.fullmatch(name):
        raise InvalidApplicationError("its name may only have lower-case letters, digits and -")
    for key in table:
        if key not in KEYS:
            raise InvalidApplicationError(f"unknown key {key!r}", key=key)
    icon = _optional(table, "icon", _icon, "")
    return Application(
        name=name,
        title=_text(table, "title", MAX_TITLE, required=True),
        description=_text(table, "description", MAX_DESCRIPTION, required=False),
        root=_optional(table, "root", _boolean, False),
        upstream=_upstream(table),
        icon=os.path.join(directory, icon) if icon else "",
        groups=_optional(table, "groups", _groups, ()),
        keep_prefix=_optional(table, "prefix", _prefix, False),
        command=_command(table) if "command" in table else None,
    )


def _optional(
    table: Table, key: str, check: Callable[[object, str], Value], default: Value
) -> Value:
    return check(table[key], key) if key in table else default


def _refuse(key: str, reason: str) -> InvalidApplicationError:
    return InvalidApplicationError(f"{key} {reason}", key=key)


def _text(table: Table, key: str, limit: int, *, required: bool) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise _refuse(key, f"must be one line of text, at most {limit} characters")
    if required and not value.strip():
        raise _refuse(key, "is missing")
    return value


def _boolean(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise _refuse(key, "must be true or false")
    return value


def _icon(value: object, key: str) -> str:
    if not isinstance(value, str) or not _ICON.fullmatch(value):
        raise _refuse(key, "must be the name of an .svg or .png file in the same directory")
    return value


def _prefix(value: object, key: str) -> bool:
    if value not in ("strip", "keep") or not isinstance(value, str):
        raise _refuse(key, 'must be "strip" or "keep"')
    return value == "keep"


def _groups(value: object, key: str) -> tuple[str, ...]:
    names = _texts(value, key, MAX_LIST, 256)
    if not names or not all(names):
        raise _refuse(key, "must name at least one group; leave it out for everybody")
    return names


def _texts(value: object, key: str, count: int, limit: int) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > count:
        raise _refuse(key, f"must be a list of at most {count} texts")
    return tuple(_plain(item, key, limit) for item in value)


def _plain(value: object, key: str, limit: int) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > limit:
        raise _refuse(key, f"must be text, at most {limit} characters, without a zero byte")
    return value


def _upstream(table: Table) -> Upstream:
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1:
        key = kinds[1] if kinds else ""
        raise InvalidApplicationError("exactly one of url, socket and command is needed", key=key)
    if kinds == ["command"]:
        return Upstream()
    for key in OF_A_COMMAND:
        if key in table:
            raise _refuse(key, "only goes with command")
    return _socket(table["socket"]) if kinds == ["socket"] else _address(table["url"])


def _socket(path: object) -> Upstream:
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise _refuse("socket", "must be an absolute path")
    if len(path.encode()) > MAX_SOCKET:
        raise _refuse("socket", f"must not be longer than {MAX_SOCKET} bytes")
    return Upstream(socket_path=path)


def _address(url: object) -> Upstream:
    wrong = _refuse("url", "must look like http://host:port and nothing more")
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise wrong
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username, parts.password)
    if parts.scheme != "http" or not host or any(rest) or port == 0:
        raise wrong
    return Upstream(host=host, port=80 if port is None else port)


def _command(table: Table) -> Command:
    words = _texts(table["command"], "command", MAX_WORDS, MAX_WORD)
    if not words or not words[0]:
        raise _refuse("command", "must begin with a program")
    nothing: tuple[tuple[str, str], ...] = ()
    environment = _optional(table, "environment", _environment, nothing)
    _require_known("command", words)
    if not mentions("socket", (*words, *(value for _, value in environment))):
        raise _refuse("command", "must say {socket} somewhere, or environment must")
    return Command(
        words=words,
        directory=_optional(table, "directory", _directory, "~"),
        environment=environment,
        shell=_optional(table, "shell", _shell, "interactive"),
        start_timeout=_seconds(table, "start_timeout", 60.0, 1.0, MAX_START),
        idle_timeout=_seconds(table, "idle_timeout", 0.0, 0.0, MAX_IDLE),
    )


def _environment(value: object, key: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > MAX_LIST:
        raise _refuse(key, f"must be a table of at most {MAX_LIST} texts")
    for name, text in value.items():
        where = f"{key}.{name}"
        if not _VARIABLE.fullmatch(name) or name.startswith("UNIXSPAWNER_"):
            raise InvalidApplicationError(f"{key} cannot set {name!r}", key=where)
        _plain(text, where, MAX_WORD)
        _require_known(where, (text,))
    return tuple(value.items())


def _directory(value: object, key: str) -> str:
    path = _plain(value, key, MAX_WORD)
    start = path.partition("/")[0]
    if start not in ("", "~", "{home}") or not path or ".." in path.split("/"):
        raise _refuse(key, "must be an absolute path or begin with ~, without ..")
    _require_known(key, (path,))
    return path


def _shell(value: object, key: str) -> Shell:
    if not isinstance(value, str) or value not in _SHELLS:
        raise _refuse(key, 'must be "interactive", "login" or "none"')
    return _SHELLS[value]


def _seconds(table: Table, key: str, default: float, least: float, most: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _refuse(key, f"must be a number of seconds from {least:.0f} to {most:.0f}")
    return float(value)


def _require_known(key: str, texts: tuple[str, ...]) -> None:
    unknown = first_unknown(texts)
    if unknown:
        raise _refuse(key, f"has the unknown placeholder {unknown}")
