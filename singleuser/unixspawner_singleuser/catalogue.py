"""The applications that an administrator has put into apps.d, one TOML file each.

Run as the person signed in, on root-owned files. A file with a mistake is reported and left out;
the others keep working.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

DEFAULT_DIRECTORY = "/etc/unixspawner/apps.d"
MAX_SIZE = 64 * 1024
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_KEYS = frozenset({"title", "description", "root", "socket", "url"})


@dataclass(frozen=True, slots=True)
class Upstream:
    """A fixed place to forward to: a Unix socket, or a host and port."""

    socket_path: str | None = None
    host: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class Application:
    name: str
    title: str
    description: str
    root: bool
    upstream: Upstream


@dataclass(frozen=True, slots=True)
class Catalogue:
    applications: tuple[Application, ...] = ()

    @property
    def root(self) -> Application | None:
        return next((app for app in self.applications if app.root), None)


class InvalidApplicationError(Exception):
    """The text is the reason, for the log."""


def load(directory: str) -> Catalogue:
    """Reads every *.toml file of a directory in the order of their names."""
    applications: list[Application] = []
    for path in _files(directory):
        try:
            application = _read(path)
            if application.root and any(other.root for other in applications):
                raise InvalidApplicationError("another file already has root = true")
        except InvalidApplicationError as error:
            log.error("%s is left out: %s.", path, error)
        else:
            applications.append(application)
    return Catalogue(tuple(applications))


def _files(directory: str) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    except OSError as error:
        log.error("The applications in %s cannot be read: %s.", directory, error.strerror)
        return
    yield from (os.path.join(directory, name) for name in names if name.endswith(".toml"))


def _read(path: str) -> Application:
    import tomllib

    try:
        with open(path, "rb") as file:
            text = file.read(MAX_SIZE + 1)
        if len(text) > MAX_SIZE:
            raise InvalidApplicationError(f"it is larger than {MAX_SIZE} bytes")
        table = tomllib.loads(text.decode())
    except OSError as error:
        raise InvalidApplicationError(f"it cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise InvalidApplicationError(f"it is not valid TOML ({error})") from None
    return parse(os.path.basename(path).removesuffix(".toml"), table)


def parse(name: str, table: dict[str, object]) -> Application:
    """An application from a parsed file. Raises InvalidApplicationError."""
    if not _NAME.fullmatch(name):
        raise InvalidApplicationError("its name may only have lower-case letters, digits and -")
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise InvalidApplicationError(f"unknown key {unknown[0]!r}")
    root = table.get("root", False)
    if not isinstance(root, bool):
        raise InvalidApplicationError("root must be true or false")
    return Application(
        name=name,
        title=_text(table, "title", required=True),
        description=_text(table, "description", required=False),
        root=root,
        upstream=_upstream(table),
    )


def _text(table: dict[str, object], key: str, *, required: bool) -> str:
    value = table.get(key, "")
    if not isinstance(value, str) or len(value) > 1000:
        raise InvalidApplicationError(f"{key} must be a text of at most 1000 characters")
    if required and not value.strip():
        raise InvalidApplicationError(f"{key} is missing")
    return value


def _upstream(table: dict[str, object]) -> Upstream:
    if ("socket" in table) == ("url" in table):
        raise InvalidApplicationError("exactly one of socket and url is needed")
    if "socket" in table:
        path = table["socket"]
        if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
            raise InvalidApplicationError("socket must be an absolute path")
        return Upstream(socket_path=path)
    return _address(table["url"])


def _address(url: object) -> Upstream:
    if not isinstance(url, str):
        raise InvalidApplicationError("url must be a text")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidApplicationError("url is not valid") from None
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username, parts.password)
    if parts.scheme != "http" or not host or any(rest):
        raise InvalidApplicationError("url must look like http://host:port and nothing more")
    return Upstream(host=host, port=80 if port is None else port)
