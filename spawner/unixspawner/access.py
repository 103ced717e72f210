"""The programs that may ask the hub's API: the administrator's command, and one that monitors.

Used by the hub's configuration, in the hub. Each has a token in a file and exactly the scopes that
it needs. A service is named after its token, so that a new token makes another service: JupyterHub
forgets the old one then, and its token with it.
"""

import hashlib
import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

Specification = dict[str, object]

log = logging.getLogger(__name__)

COMMAND, COMMAND_TOKEN = "unixspawner-command", "admin-token"
COMMAND_SCOPES = (
    "list:users",  # who is known here
    "read:users:activity",  # when was somebody active
    "read:servers",  # which servers run, start or stop
    "read:tokens",  # is a browser signed in; tells of tokens, never the tokens
    "delete:servers",  # stop
)
METRICS, METRICS_TOKEN = "unixspawner-metrics", "metrics-token"
METRICS_SCOPES = ("read:metrics",)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,128}", re.ASCII)


def services(state: Path, etc: Path) -> Iterator[tuple[Specification, Specification]]:
    """Pairs for JupyterHub's `services` and `load_roles`."""
    yield _service(COMMAND, own_token(state / COMMAND_TOKEN), COMMAND_SCOPES)
    if token := given_token(etc / METRICS_TOKEN):
        yield _service(METRICS, token, METRICS_SCOPES)


def _service(name: str, token: str, scopes: tuple[str, ...]) -> tuple[Specification, Specification]:
    full = f"{name}-{hashlib.sha256(token.encode()).hexdigest()[:8]}"
    service: Specification = {"name": full, "api_token": token, "display": False}
    return service, {"name": name, "scopes": list(scopes), "services": [full]}


def own_token(path: Path) -> str:
    """The token in the hub's own file, which only its account and root read; made if missing."""
    try:
        token = path.read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        token = ""
    return token if _TOKEN.fullmatch(token) else _make(path)


def _make(path: Path) -> str:
    token = secrets.token_hex(32)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"{token}\n")
    temporary.rename(path)
    return token


def given_token(path: Path) -> str:
    """The token that the administrator has made for Prometheus; empty without one.

    One that others may read or write is not used: whoever monitors then sees that it is refused.
    """
    try:
        status = path.stat()
        token = path.read_text("ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        log.warning("%s is not used: %s", path, error)
        return ""
    others = stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
    if status.st_uid != 0 or status.st_mode & others or not _TOKEN.fullmatch(token):
        log.warning("%s is not used: it must be root's, closed to others, and one long word", path)
        return ""
    return token
