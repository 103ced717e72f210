"""The second question that `authenticate` answers: which of these accounts may not go on?

Run by sudo as the password-checking account. The hub asks it about the people who are signed in,
every few seconds at most; it learns one word for each and never what the word was read from.
"""

import signal
import time

from . import each_service, name_service, system
from .config import Config
from .name_service import UnavailableError
from .protocol import Examined, ExamineRequest, Verdict
from .shadow import find_shadow, has_expired

PATIENCE = 20  # seconds, then this process ends: a directory that hangs must not pile up processes
DAY = 86400
PAM_SUCCESS, PAM_ACCT_EXPIRED = 0, 13


def examine(config: Config, request: ExamineRequest) -> Examined:
    """A word for each account."""
    signal.alarm(PATIENCE)
    today = int(time.time()) // DAY
    return Examined({name: _verdict(config, name, today) for name in request.users})


def is_locked(name: str) -> bool:
    """Whether somebody locked the password; not when that cannot be told."""
    try:
        entry = find_shadow(name)
    except UnavailableError:
        return False
    return entry is not None and entry.is_locked


def some_service_is_silent(name: str, group: str) -> bool:
    """Whether a name service of this machine gives no answer at the moment."""
    question = each_service.Question([name], {group: name_service.NO_GROUP})
    return bool(each_service.silent(each_service.ask_each(question)))


def _verdict(config: Config, name: str, today: int) -> Verdict:
    """What is not certain is "unknown": nobody is put out for it."""
    try:
        account = name_service.find_account(name)
        if account is None or account.uid < config.min_uid:
            return "unknown"  # no question about system accounts is answered
        entry = find_shadow(name)
    except UnavailableError:
        return "unknown"
    if entry is None:
        return _ask_pam(config, name)
    if entry.is_locked:
        return "locked"
    return "expired" if has_expired(entry, today) else "open"


def _ask_pam(config: Config, name: str) -> Verdict:
    """The account has no shadow entry here: its directory's PAM module knows.

    Only one answer means that the account has expired. Others are about the hour or the place
    (pam_time, pam_access, /etc/nologin), which is asked at sign-in. Debian's stack says the very
    same when it could not look the account up, so then every name service must answer; and of
    everybody where this account may not read the hashes. It is asked twice, as a service that was
    away for the first question may be back when it is asked whether it answers.
    """
    for _ in range(2):
        code = _account_management(config.pam_service, name)
        if code == PAM_SUCCESS:
            return "open"
        if code != PAM_ACCT_EXPIRED or not system.may_read_hashes():
            return "unknown"
        if some_service_is_silent(name, config.users_group):
            return "unknown"
    return "expired"


def _account_management(service: str, name: str) -> int:
    import pamela

    conversation = pamela.new_simple_password_conv((), "utf-8")
    handle = pamela.pam_start(service, name, conv_func=conversation)
    code: int = pamela.PAM_ACCT_MGMT(handle, 0)
    pamela.PAM_END(handle, code)
    return code
