"""`mediator stop`: run by sudo as the person; ends what we started for them and nothing else."""

import os
import stat
import syslog

from . import config as configuration
from . import paths, policy, processes, system
from .config import Config
from .errors import broken_request
from .policy import Account
from .protocol import (
    LOG_TAIL,
    LOG_TEXT,
    Stopped,
    StopRequest,
    decode_request,
    encode,
)

PATIENCE = 5.0  # seconds between TERM and KILL
TAIL_OCTETS = 4 * LOG_TAIL


def answer_stop() -> None:
    """Read, decode, authorise, end the tree, reply."""
    data, descriptors = system.receive_request()
    if descriptors:
        raise broken_request("a stop request carries no descriptors")
    request = decode_request(data, StopRequest)
    config = configuration.read()
    account = system.own_account()
    _authorise(config, account, request)
    signalled = _end(request)
    tail = read_tail(paths.server_log(account.home, request.server_name))
    system.log(
        syslog.LOG_NOTICE,
        f"stop user={account.name} server={request.server_name!r} signalled={signalled}",
    )
    system.reply(0, encode(Stopped(signalled, tail)))


def _authorise(config: Config, account: Account, request: StopRequest) -> None:
    """No membership here: people who left the group must be stoppable."""
    policy.require_caller(config, system.caller_name())
    policy.require_same_account(account, request.user)
    policy.require_person(config, account)


def _end(request: StopRequest) -> int:
    if request.process.boot_id != system.boot_id():
        return 0  # the machine has been restarted: whatever has that pid now is not ours
    processes.require_own(request.process)
    return processes.end_tree(request.server_id, request.process, PATIENCE)


def read_tail(path: str) -> str:
    """The last lines of a log, as text that a reply may carry; empty when there is none."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return ""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return ""
    with open(descriptor, "rb") as file:
        file.seek(max(0, status.st_size - TAIL_OCTETS))
        text = file.read(TAIL_OCTETS).decode("utf-8", "replace")
    return "".join(c for c in text if LOG_TEXT.fullmatch(c))[-LOG_TAIL:]
