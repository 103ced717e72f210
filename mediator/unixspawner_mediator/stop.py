"""`mediator stop`: run by sudo as the person; ends what we started for them and nothing else."""

import syslog

from . import config as configuration
from . import home, policy, processes, system
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
    signalled, left = _end(request)
    counts = f"signalled={signalled} left={left}"
    line = f"stop user={account.name} server={request.server_name!r} {counts}"
    system.log(syslog.LOG_NOTICE, line)
    words = legible(home.last_words(account, request.server_name, TAIL_OCTETS))
    system.reply(0, encode(Stopped(signalled, left, words)))


def _authorise(config: Config, account: Account, request: StopRequest) -> None:
    """No membership here: people who left the group must be stoppable."""
    policy.require_caller(config, system.caller_name())
    policy.require_same_account(account, request.user)
    policy.require_person(config, account)


def _end(request: StopRequest) -> tuple[int, int]:
    if request.process.boot_id != system.boot_id():
        return 0, 0  # the machine has been restarted: whatever has that pid now is not ours
    processes.require_own(request.process)
    return processes.end_tree(request.server_id, request.process, PATIENCE)


def legible(words: bytes) -> str:
    """The end of a log as text that a reply may carry."""
    text = words.decode("utf-8", "replace")
    return "".join(c for c in text if LOG_TEXT.fullmatch(c))[-LOG_TAIL:]
