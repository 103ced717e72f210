"""`authenticate`: run by sudo as the password-checking account; asks PAM whether it is you.

The hub never can read a password hash, and learns only yes or no and why. The order matters:
nothing about an account is told to somebody who does not have its password. The other question
that it answers, about people who are signed in already, is in `examine`.
"""

import contextlib
import sys
import syslog
import time
from collections.abc import Callable

from . import config as configuration
from . import policy, sentences, system
from .__main__ import run
from .config import Config
from .errors import EXIT_REFUSED, Refusal, broken_request
from .examine import examine, is_locked, some_service_is_silent
from .policy import Account
from .protocol import (
    Authenticated,
    AuthenticateRequest,
    Examined,
    ExamineRequest,
    decode_request,
    encode,
)

FAILURE_DELAY = 2.0  # seconds; what pam_unix waits, so that our own refusals look the same
# PAM return codes that speak of the account and not of the password, see pam_acct_mgmt(3)
PAM_PERM_DENIED, PAM_NEW_AUTHTOK_REQD, PAM_ACCT_EXPIRED, PAM_AUTHTOK_EXPIRED = 6, 12, 13, 27
PAM_AUTHINFO_UNAVAIL, PAM_MAXTRIES = 9, 11
PAM_DISALLOW_NULL_AUTHTOK = 0x0001


def main() -> int:
    """Answer one request on standard input."""
    system.open_system_log("authenticate")
    if sys.argv[1:]:
        system.tell_operator("the hub calls this without any argument")
        return EXIT_REFUSED
    return run("authenticate", answer_authenticate, lambda message: system.reply(0, message))


def answer_authenticate() -> None:
    """Read, decode, authorise, ask PAM or look, reply."""
    data, descriptors = system.receive_request()
    if descriptors:
        raise broken_request("an authenticate request carries no descriptors")
    request = decode_request(data, AuthenticateRequest, ExamineRequest)
    config = configuration.read()
    policy.require_caller(config, system.caller_name())
    answer: Authenticated | Examined
    if isinstance(request, ExamineRequest):
        answer = examine(config, request)
    else:
        answer = _authenticate(config, request)
        system.log(syslog.LOG_NOTICE, f"authenticate user={request.user} accepted")
    system.reply(0, encode(answer))


def _authenticate(config: Config, request: AuthenticateRequest) -> Authenticated:
    account = system.account_of(request.user)
    if account is not None and (account.uid < config.min_uid or account.name != request.user):
        # root's and the services' passwords cannot be tried out here
        time.sleep(FAILURE_DELAY)
        raise _wrong("system account or other spelling")
    try:
        _ask_pam(config.pam_service, request)
        account = account or system.account_of(request.user)
        if account is None:
            raise _wrong("PAM accepts a name that the name service does not know")
        _require_may_use(config, account)
    except Refusal as refusal:
        raise _what_is_true_instead(config, request.user, refusal) from None
    return Authenticated(request.user)


def _require_may_use(config: Config, account: Account) -> None:
    if is_locked(account.name):  # signed in by other means, such as Kerberos
        raise _disabled("locked: there is a ! before the hash")
    policy.require_may_use(config, account, system.valid_shells())


def _what_is_true_instead(config: Config, name: str, refusal: Refusal) -> Refusal:
    """The same refusal, or what is wrong with the machine.

    For a wrong password that depends on the machine alone, never on the name.
    """
    # pam_unix then finds every password wrong, and every account of another module expired
    is_pams = refusal.code in (sentences.WRONG_PASSWORD.code, "account-expired")
    if is_pams and not system.may_read_hashes():
        detail = f"this account may not read the hashes; {refusal.detail}"
        return Refusal(*sentences.PASSWORDS_UNAVAILABLE, detail)
    return _while_a_service_is_silent(config, name, refusal)


def _while_a_service_is_silent(config: Config, name: str, refusal: Refusal) -> Refusal:
    """The same refusal, or what is true instead of it when a name service gives no answer."""
    instead = {
        sentences.WRONG_PASSWORD.code: sentences.WRONG_OR_UNKNOWN,
        "not-a-member": sentences.cannot_tell(name),
        "account-expired": sentences.cannot_tell(name),  # Debian's word for whatever went wrong
    }
    if refusal.code in instead and some_service_is_silent(name, config.users_group):
        return Refusal(*instead[refusal.code], f"a name service is silent; {refusal.detail}")
    return refusal


def _ask_pam(service: str, request: AuthenticateRequest) -> None:
    """First the password, then the account: what is wrong with an account is told only then."""
    import pamela  # loads libpam, which the mediator must never do

    conversation = pamela.new_simple_password_conv((request.password,), "utf-8")
    handle = pamela.pam_start(service, request.user, conv_func=conversation)
    code = 0
    try:
        for ask, flags, otherwise in (
            # Debian lets accounts without a password in with any: not over a network
            (pamela.PAM_AUTHENTICATE, PAM_DISALLOW_NULL_AUTHTOK, _wrong),
            (pamela.PAM_ACCT_MGMT, 0, _disabled),
        ):
            code = ask(handle, flags)
            if code != 0:
                text = f"PAM error {code}: {pamela.pam_strerror(handle, code)}"
                raise _explain(code, f"user={request.user} {text}", otherwise)
    finally:
        with contextlib.suppress(pamela.PAMError):  # it reports once more what we know
            pamela.pam_end(handle, code)


def _wrong(detail: str) -> Refusal:
    return Refusal(*sentences.WRONG_PASSWORD, detail)


def _disabled(detail: str) -> Refusal:
    """Debian's stack turns whatever is wrong with an account into one code of pam_deny."""
    sentence = "Your account has expired or is disabled: ask your administrator."
    return Refusal("account-expired", sentence, detail)


_SENTENCES: dict[int, tuple[str, str]] = {
    PAM_NEW_AUTHTOK_REQD: (
        "password-expired",
        "Your password has expired: change it with ssh or passwd, then sign in again.",
    ),
    PAM_AUTHTOK_EXPIRED: (
        "password-expired",
        "Your password expired too long ago to be changed: ask your administrator.",
    ),
    PAM_PERM_DENIED: (
        "not-permitted",
        "This machine does not let you sign in now: ask your administrator.",
    ),
    PAM_MAXTRIES: (
        "too-many-attempts",
        "Too many attempts to sign in: wait a while, then try again.",
    ),
    PAM_AUTHINFO_UNAVAIL: sentences.PASSWORDS_UNAVAILABLE,
}


def _explain(code: int, detail: str, otherwise: Callable[[str], Refusal]) -> Refusal:
    if code == PAM_ACCT_EXPIRED:
        return _disabled(detail)
    # of an account only to somebody with its password; pam_faillock says so of a wrong one
    is_about_password = code == PAM_PERM_DENIED and otherwise is _wrong
    if code not in _SENTENCES or is_about_password:
        return otherwise(detail)
    return Refusal(*_SENTENCES[code], detail)


if __name__ == "__main__":
    sys.exit(main())
