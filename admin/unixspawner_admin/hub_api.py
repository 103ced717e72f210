"""Asks the hub: over its own Unix socket, with the token that it keeps for this command.

All of it happens as the hub's account (see as_account), so root reads no file and speaks to no
socket that a broken-in hub may have put there; and what comes back is parsed as a stranger's.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from . import as_account
from .as_account import Emit
from .errors import AdminError
from .hub_connection import MAX_ANSWER, Connection, read_token
from .options import Options

SECONDS = 20.0
STOP_SECONDS = 60.0
AT_ONCE = 8

Fields = dict[str, object]
Question = Callable[[Connection, Emit], None]


class HubDownError(AdminError):
    """No hub answers."""


@dataclass(frozen=True)
class HubServer:
    """A server as the hub knows it; `pending` is "spawn", "stop" or empty."""

    user: str
    name: str
    started: datetime | None
    last_activity: datetime | None
    pending: str


@dataclass(frozen=True)
class HubUser:
    name: str
    last_activity: datetime | None
    servers: tuple[HubServer, ...]


def users(options: Options, *, active: bool = False) -> list[HubUser]:
    """Everybody whom the hub knows; with `active`, those with a server.

    Raises:
        AdminError: the hub does not answer, or not as it should.
    """
    pages = _ask(options, lambda hub, emit: _emit_users(hub, emit, active), SECONDS)
    return [_user(each) for page in pages for each in _objects(page)]


def signed_in(options: Options, names: list[str]) -> set[str]:
    """Of these people of the hub's those of whom a browser is signed in to a server."""
    answers = _ask(options, lambda hub, emit: _emit_sessions(hub, emit, names), SECONDS)
    return {name for name, has in zip(names, answers, strict=True) if has is True}


def stop(options: Options, servers: Sequence[tuple[str, str]]) -> list[str]:
    """Ask for the end of these (person, server); returns for each what the hub says against it.

    An empty text means that it agreed; whether it came to pass is to be looked at afterwards.
    """
    seconds = STOP_SECONDS * (1 + len(servers) / AT_ONCE)
    answers = _ask(options, lambda hub, emit: _emit_stops(hub, emit, servers), seconds)
    return [answer if isinstance(answer, str) else "no answer" for answer in answers]


def _emit(emit: Emit, value: object) -> None:
    emit(json.dumps(value).encode() + b"\n")


def _emit_users(hub: Connection, emit: Emit, active: bool) -> None:
    """All pages of the list: the hub gives out 200 people at a time."""
    offset = 0
    state = "&state=active" if active else ""
    while True:
        page = hub.request("GET", f"users?limit=200&offset={offset}{state}")
        items = page.get("items") if isinstance(page, dict) else None
        _emit(emit, items)
        if not isinstance(items, list) or len(items) < 200:
            return
        offset += len(items)


def _emit_sessions(hub: Connection, emit: Emit, names: list[str]) -> None:
    """Only yes or no leaves this function: the list has the sessions' numbers in it."""
    for name in names:
        tokens = hub.request("GET", f"users/{quote(name, safe='')}/tokens")
        found = tokens.get("api_tokens") if isinstance(tokens, dict) else None
        _emit(emit, any(token.get("session_id") for token in _objects(found)))


def _emit_stops(hub: Connection, emit: Emit, servers: Sequence[tuple[str, str]]) -> None:
    """A few at a time, each over a connection of its own: a stop may take seconds."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for said in pool.map(lambda server: _say_stop(hub.again(), *server), servers):
            _emit(emit, said)


def _say_stop(hub: Connection, user: str, server: str) -> str:
    which = f"servers/{quote(server, safe='')}" if server else "server"
    try:
        hub.request("DELETE", f"users/{quote(user, safe='')}/{which}")
    except AdminError as error:
        return str(error) or "no reason given"
    return ""


def _ask(options: Options, question: Question, seconds: float) -> list[object]:
    def in_the_child(emit: Emit) -> None:
        question(Connection(f"{options.base_url}hub/api/", read_token()), emit)

    try:
        answer = as_account.call(options.hub_account, in_the_child, seconds, MAX_ANSWER)
    except OSError as error:
        raise HubDownError(f"The hub does not answer ({error.strerror}).") from None
    except as_account.TooSlowError:
        raise HubDownError(f"The hub does not answer within {seconds:g} seconds.") from None
    try:
        return [json.loads(line) for line in answer.splitlines()]
    except (ValueError, RecursionError):
        raise AdminError("The hub's answer cannot be understood.") from None


def _objects(value: object) -> Iterator[Fields]:
    if not isinstance(value, list):
        raise AdminError("The hub's answer is not the list that it should be.")
    yield from (each for each in value if isinstance(each, dict))


def _user(fields: Fields) -> HubUser:
    name = _text(fields, "name")
    servers = fields.get("servers")
    models = list(servers.values()) if isinstance(servers, dict) else []
    found = tuple(_server(name, model) for model in _objects(models))
    return HubUser(name, _time(fields, "last_activity"), found)


def _server(user: str, fields: Fields) -> HubServer:
    started, last = _time(fields, "started"), _time(fields, "last_activity")
    return HubServer(user, _text(fields, "name"), started, last, _text(fields, "pending"))


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _time(fields: Fields, name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(_text(fields, name))
    except ValueError:
        return None
