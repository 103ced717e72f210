"""What was started and is not known to have ended: a small file for each server, beside its socket.

Run in the hub. A record is written before a server is asked for. So a hub that is killed in the
middle of a start, and a stop that fails, leave enough behind to end what was begun. The directory
is below /run: after a reboot, when nothing of it runs any more, there are no records either.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from unixspawner_mediator.protocol import SERVER_ID, ProcessIdentity

from . import sockets


class Record(NamedTuple):
    """One start. `uid` is the account's number at that moment, whatever it is today.

    `process` is unknown until the mediator has reported.
    """

    user: str
    uid: int
    server_name: str
    server_id: str
    socket: str
    token_hash: str
    process: ProcessIdentity

    def state(self) -> dict[str, Any]:
        """What JupyterHub's database keeps of a running server."""
        return {
            "server_id": self.server_id,
            "socket": self.socket,
            "token_hash": self.token_hash,
            "uid": self.uid,
            **self.process._asdict(),
        }


held: dict[str, Record] = {}
"""By server id, what a spawner of this hub looks after. The rest is for whoever tidies up."""


def from_state(user: str, server_name: str, saved: dict[str, Any]) -> Record:
    """The reverse of `Record.state`. Raises KeyError when something is missing."""
    process = ProcessIdentity(saved["pid"], saved["start_time"], saved["boot_id"])
    place = saved["server_id"], saved["socket"], saved["token_hash"]
    return Record(user, saved["uid"], server_name, *place, process)


def write(record: Record) -> None:
    """Keep it, atomically: half a record would be none."""
    path = _path(record)
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        owner = {"user": record.user, "server_name": record.server_name}
        json.dump(owner | record.state(), file)
    os.replace(f"{path}.new", path)


def remove(record: Record) -> None:
    """The server has ended, and all of it."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_path(record))
    sockets.remove(record.socket)


def _path(record: Record) -> str:
    return os.path.join(os.path.dirname(record.socket), f"{record.server_id}.json")


def unheld(directory: str) -> Iterator[Record]:
    """The records that no spawner looks after."""
    for name in sorted(_names(directory)):
        server_id, _, kind = name.partition(".")
        if kind == "json" and SERVER_ID.fullmatch(server_id) and server_id not in held:
            record = _read(os.path.join(directory, name))
            if record is not None:
                yield record


def _read(path: str) -> Record | None:
    """None for what is no record, or is gone."""
    try:
        with open(path, encoding="utf-8") as file:
            saved = json.load(file)
        return from_state(saved["user"], saved["server_name"], saved)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def forgotten_sockets(directory: str) -> list[str]:
    """Sockets that neither a spawner nor a record knows: nobody will ever ask there."""
    known = {record.socket for record in (*held.values(), *unheld(directory))}
    paths = (os.path.join(directory, name) for name in sorted(_names(directory)))
    return [path for path in paths if path.endswith(".sock") and path not in known]


def _names(directory: str) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(directory)
    return []
