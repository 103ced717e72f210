"""`mediator stop`: run by sudo as the person; ends what we started for them and nothing else.

The person is a number here. The name may be gone (`userdel`), the number may be somebody else's by
now: what is ended is known by boot, process number, start time and the server's own mark.
"""

import syslog

from . import config as configuration
from . import home, policy, processes, system
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
    uid = system.uid_with_its_group()
    _authorise(config, uid, request)
    signalled, left = _end(request)
    whose = f"user={request.user} uid={uid} server={request.server_name!r}"
    system.log(syslog.LOG_NOTICE, f"stop {whose} signalled={signalled} left={left}")
    system.reply(0, encode(Stopped(signalled, left, _last_words(request))))


def _authorise(config: Config, uid: int, request: StopRequest) -> None:
    """No membership here, not even a name: whoever has left must be stoppable."""
    policy.require_caller(config, system.caller_name())
    policy.require_same_uid(uid, request.uid)
    policy.require_person(config, request.user, uid)


def _end(request: StopRequest) -> tuple[int, int]:
    if request.process.boot_id != system.boot_id():
        return 0, 0  # the machine has been restarted: whatever has that pid now is not ours
    processes.require_own(request.process)
    return processes.end_tree(request.server_id, request.process, PATIENCE)


def _last_words(request: StopRequest) -> str:
    """The end of the server's log, unless the account is nobody's or another person's by now."""
    account = system.account_of(request.user)
    if account is None or account.uid != request.uid:
        return ""
    return legible(home.last_words(account, request.server_name, TAIL_OCTETS))


def legible(words: bytes) -> str:
    """The end of a log as text that a reply may carry."""
    text = words.decode("utf-8", "replace")
    return "".join(c for c in text if LOG_TEXT.fullmatch(c))[-LOG_TAIL:]
