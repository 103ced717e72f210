"""`mediator stop`: run by sudo as the person; ends what we started for them and nothing else.

The person is a number here. The name may be gone (`userdel`), the number may be somebody else's by
now: what is ended is known by boot, process number, start time and the server's own mark.
"""

import os
import stat
import syslog

from . import config as configuration
from . import paths, policy, processes, system
from .config import Config
from .errors import broken_request
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
    uid = system.own_uid()
    _authorise(config, uid, request)
    signalled = _end(request)
    system.log(
        syslog.LOG_NOTICE,
        f"stop user={request.user} uid={uid} server={request.server_name!r} signalled={signalled}",
    )
    system.reply(0, encode(Stopped(signalled, _last_words(request))))


def _authorise(config: Config, uid: int, request: StopRequest) -> None:
    """No membership here, not even a name: whoever has left must be stoppable."""
    policy.require_caller(config, system.caller_name())
    policy.require_same_uid(uid, request.uid)
    policy.require_person(config, request.user, uid)


def _end(request: StopRequest) -> int:
    if request.process.boot_id != system.boot_id():
        return 0  # the machine has been restarted: whatever has that pid now is not ours
    processes.require_own(request.process)
    return processes.end_tree(request.server_id, request.process, PATIENCE)


def _last_words(request: StopRequest) -> str:
    """The end of the server's log, unless the account is nobody's or another person's by now."""
    account = system.account_of(request.user)
    if account is None or account.uid != request.uid:
        return ""
    return read_tail(paths.server_log(account.home, request.server_name))


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
