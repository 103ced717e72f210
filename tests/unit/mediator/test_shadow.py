"""Which shadow entries are locks and expiries, and which only look like it."""

import signal

import pamela
import pytest

from unixspawner_mediator import examine, name_service, shadow, system
from unixspawner_mediator.config import Config
from unixspawner_mediator.name_service import Entry, UnavailableError
from unixspawner_mediator.protocol import Examined, ExamineRequest
from unixspawner_mediator.shadow import NO_DATE, Shadow

CONFIG = Config("jupyterhub", "jupyterhub-users", ["/opt/python"])
YESCRYPT = b"$y$j9T$scgmCT54ejwisTzBl2$LCWmYHd"


@pytest.mark.parametrize(
    "password",
    [
        b"!" + YESCRYPT,  # usermod -L
        b"!!" + YESCRYPT,
        b"!$6$salt$hash",
        b"!$2b$12$abc",
        b"!ab01234567890",  # the oldest kind, thirteen characters
        b"!_J9..rasmBYk8r9AiWNc",  # BSDi
    ],
)
def test_a_hash_behind_an_exclamation_mark_is_a_lock(password: bytes) -> None:
    assert shadow.is_locked_hash(password)


@pytest.mark.parametrize(
    "password",
    [YESCRYPT, b"ab01234567890", b"*", b"!", b"!!", b"!*", b"", b"x", b"*LK*", b"!x", b"*!$6$a$b"],
)
def test_what_never_was_a_password_here_is_no_lock(password: bytes) -> None:
    """Accounts that sign in with a key or a ticket must not be put out for it."""
    assert not shadow.is_locked_hash(password)


@pytest.mark.parametrize(
    ("expires", "has_expired"),
    [(NO_DATE, False), (0, True), (1, True), (19_999, True), (20_000, True), (20_001, False)],
)
def test_an_account_expires_on_its_day(expires: int, has_expired: bool) -> None:
    assert shadow.has_expired(Shadow(False, expires), 20_000) is has_expired


def judged(
    monkeypatch: pytest.MonkeyPatch,
    account: Entry | Exception | None,
    entry: Shadow | Exception | None,
    pam: str = "unknown",
) -> str:
    def answer(value: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(name_service, "find_account", lambda _name: answer(account))
    monkeypatch.setattr(examine, "find_shadow", lambda _name: answer(entry))
    monkeypatch.setattr(examine, "_ask_pam", lambda _config, _name: pam)
    monkeypatch.setattr(signal, "alarm", lambda _seconds: 0)
    reply = examine.examine(CONFIG, ExamineRequest(["alice"]))
    assert isinstance(reply, Examined)
    return reply.verdicts["alice"]


ALICE = Entry("alice", 1001, 1001)
DOWN = UnavailableError("ENOENT")


@pytest.mark.parametrize(
    ("account", "entry", "pam", "word"),
    [
        (ALICE, Shadow(False, NO_DATE), "unknown", "open"),
        (ALICE, Shadow(True, NO_DATE), "open", "locked"),
        (ALICE, Shadow(False, 0), "open", "expired"),
        (ALICE, Shadow(True, 0), "open", "locked"),
        (ALICE, None, "expired", "expired"),  # of a directory: its PAM module knows
        (ALICE, None, "open", "open"),
        (ALICE, DOWN, "expired", "unknown"),
        (DOWN, Shadow(True, 0), "expired", "unknown"),
        (None, Shadow(True, 0), "expired", "unknown"),
        (ALICE._replace(uid=999), Shadow(True, 0), "expired", "unknown"),
    ],
)
def test_only_what_is_certain_is_said(
    monkeypatch: pytest.MonkeyPatch,
    account: Entry | Exception | None,
    entry: Shadow | Exception | None,
    pam: str,
    word: str,
) -> None:
    assert judged(monkeypatch, account, entry, pam) == word


@pytest.mark.parametrize("may_read", [True, False])
def test_nobody_is_put_out_because_the_hashes_are_closed_to_us(
    monkeypatch: pytest.MonkeyPatch, may_read: bool
) -> None:
    """pam_unix then finds everybody expired."""
    for name, answer in {"pam_start": None, "PAM_ACCT_MGMT": 13, "PAM_END": 0}.items():
        monkeypatch.setattr(pamela, name, lambda *_, answer=answer, **_more: answer)
    monkeypatch.setattr(examine, "some_service_is_silent", lambda *_: False)
    monkeypatch.setattr(system, "may_read_hashes", lambda: may_read)
    assert examine._ask_pam(CONFIG, "alice") == ("expired" if may_read else "unknown")


def test_nobody_is_put_out_by_a_service_that_is_back_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was away for PAM's question, and answers a moment later."""
    answers = [examine.PAM_ACCT_EXPIRED, examine.PAM_SUCCESS]
    monkeypatch.setattr(examine, "_account_management", lambda *_: answers.pop(0))
    monkeypatch.setattr(examine, "some_service_is_silent", lambda *_: False)
    monkeypatch.setattr(system, "may_read_hashes", lambda: True)
    assert examine._ask_pam(CONFIG, "alice") == "open"
