"""Ends what a start has begun: processes, socket, record. Run in the hub.

One place for all occasions: a stop, a start that failed, a server that died and left something
behind, and what a former hub did not get to.
"""

import logging
from typing import Literal

from unixspawner_mediator.protocol import Stopped, StopRequest

from . import client, metrics, records
from .errors import AskError
from .process import boot_id
from .records import Record

NOTHING = Stopped(0, 0, "")


async def end(record: Record, sudo_command: list[str], log: logging.Logger) -> Stopped:
    """End all processes of a server, known or not, and forget it once none is left.

    Raises:
        AskError: refused or failed; the record stays, so that it is tried again.
    """
    if record.process.boot_id != boot_id():
        records.remove(record)
        return NOTHING
    server = record.server_name, record.server_id, record.process
    request = StopRequest(record.user, record.uid, *server)
    try:
        stopped = await client.request_stop(sudo_command, request)
    except AskError as error:
        log_failure(log, "stop", record.user, record.server_name, error)
        raise
    if stopped.left:
        log.error(
            "%i processes of %s do not end, they may wait for a file server: asked again later",
            stopped.left,
            log_name(record.user, record.server_name),
        )
    else:
        records.remove(record)
    return stopped


def log_name(user: str, server_name: str) -> str:
    """As JupyterHub writes it."""
    return f"{user}:{server_name}" if server_name else user


def log_failure(
    log: logging.Logger,
    verb: Literal["start", "stop"],
    user: str,
    server_name: str,
    error: AskError,
) -> None:
    metrics.refused(verb, error.code)
    log.error(
        "Could not %s %s's server: %s: %s (%s)",
        verb,
        log_name(user, server_name),
        error.code,
        error.message,
        error.detail,
    )
