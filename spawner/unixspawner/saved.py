"""What the hub keeps in its database of a running server, to find it again. Runs in the hub."""

from typing import Any, NamedTuple

from unixspawner_mediator.protocol import ProcessIdentity

KEY = "unixspawner"


class Saved(NamedTuple):
    """A server that runs. `uid` is the account's number when it started, whatever it is today."""

    server_id: str
    socket_path: str
    token_id: int
    uid: int
    identity: ProcessIdentity


def to_state(saved: Saved) -> dict[str, Any]:
    """As JSON can keep it."""
    return {
        KEY: {
            "server_id": saved.server_id,
            "socket": saved.socket_path,
            "token_id": saved.token_id,
            "uid": saved.uid,
            **saved.identity._asdict(),
        }
    }


def from_state(state: dict[str, Any]) -> Saved | None:
    """What `to_state` made, if it is there."""
    fields = state.get(KEY)
    if not fields:
        return None
    identity = ProcessIdentity(fields["pid"], fields["start_time"], fields["boot_id"])
    return Saved(fields["server_id"], fields["socket"], fields["token_id"], fields["uid"], identity)
