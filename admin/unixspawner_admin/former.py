"""What people were called whose account was removed while servers of theirs run on.

The hub wrote their names down at the start (spawner/unixspawner/records.py); they are read as the
hub's account, whose files these are. A record counts for a server that runs as a number without a
name, and only if nobody else is called so: a hub that lies here reaches nobody who has an account.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from unixspawner_mediator import name_service
from unixspawner_mediator.name_service import UnavailableError
from unixspawner_mediator.protocol import USER_NAME

from . import as_account, marked
from .as_account import Emit
from .errors import AdminError
from .paths import SOCKETS

_SECONDS = 10.0
_MAX_RECORD = 4096
_MAX_RECORDS = 1000


class _Record(NamedTuple):
    uid: int
    server_id: str
    user: str


# One answer for each server: whoever is the hub could otherwise make root wait, or ask in vain, at
# every look for what is to be ended. After the first failure nothing is asked any more.
_answers: dict[tuple[int, str], set[str]] = {}
_silence: list[Exception] = []


def names(hub_account: str, servers: Iterable[tuple[int, str]]) -> dict[int, str]:
    """By number, of those who run these servers (number, server id) and have no account."""
    nameless = {key for key in servers if not marked.name_of(key[0])}
    fresh = nameless - _answers.keys()
    if fresh:
        _answers.update({key: set() for key in fresh})
        for record in _records(hub_account, sorted({server_id for _, server_id in fresh})):
            if record[:2] in fresh:
                _answers[record[:2]].add(record.user)
    found: dict[int, set[str]] = {}
    for key in nameless:
        found.setdefault(key[0], set()).update(_answers[key])
    # a number that had several names has none that we could be sure of
    only = {uid: users.pop() for uid, users in found.items() if len(users) == 1}
    return {uid: user for uid, user in only.items() if _is_free(user)}


def _is_free(name: str) -> bool:
    """Whether nobody is called so; while the name service is silent, nobody knows."""
    try:
        return name_service.find_account(name) is None
    except UnavailableError:
        return False


def _records(hub_account: str, server_ids: list[str]) -> Iterator[_Record]:
    """Nothing where they cannot be read: the number will do."""

    def read_all(emit: Emit) -> None:
        for server_id in server_ids[:_MAX_RECORDS]:
            emit(_read(server_id) + b"\n")

    if _silence:
        return
    limit = _MAX_RECORDS * (_MAX_RECORD + 1)
    try:
        lines = as_account.call(hub_account, read_all, _SECONDS, limit).splitlines()
    except (OSError, AdminError) as error:
        _silence.append(error)
        return
    yield from filter(None, map(_parse, lines))


def _read(server_id: str) -> bytes:
    with suppress(OSError):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(SOCKETS / f"{server_id}.json", flags), "rb") as file:
            return file.read(_MAX_RECORD)
    return b""


def _parse(line: bytes) -> _Record | None:
    try:
        saved = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(saved, dict):
        return None
    uid, server_id, user = saved.get("uid"), saved.get("server_id"), saved.get("user")
    if type(uid) is not int or not isinstance(server_id, str) or not isinstance(user, str):
        return None
    return _Record(uid, server_id, user) if USER_NAME.fullmatch(user) else None
