"""What PAM's answers mean for the person, and what is told to whom."""

import pytest

from unixspawner_mediator import authenticate, system
from unixspawner_mediator.config import Config
from unixspawner_mediator.errors import Refusal

CONFIG = Config("jupyterhub", "jupyterhub-users", ["/opt/python"])


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (7, "wrong-password"),  # PAM_AUTH_ERR
        (10, "wrong-password"),  # PAM_USER_UNKNOWN: who has no account learns no more
        (4, "wrong-password"),  # PAM_SYSTEM_ERR
        (6, "wrong-password"),  # PAM_PERM_DENIED: pam_faillock, of a wrong one
        (9, "passwords-unavailable"),
        (11, "too-many-attempts"),
        (12, "password-expired"),
        (13, "account-expired"),
        (27, "password-expired"),
    ],
)
def test_a_failure_to_authenticate_has_one_sentence(number: int, code: str) -> None:
    refusal = authenticate._explain(number, "detail", authenticate._wrong)
    assert (refusal.code, refusal.detail) == (code, "detail")
    assert refusal.message.endswith(".")
    assert "\n" not in refusal.message


def test_what_the_machine_does_not_permit_is_told_with_the_right_password_alone() -> None:
    assert authenticate._explain(6, "detail", authenticate._disabled).code == "not-permitted"


@pytest.mark.parametrize("number", [7, 10, 13])
def test_with_the_right_password_the_account_is_to_blame(number: int) -> None:
    refusal = authenticate._explain(number, "detail", authenticate._disabled)
    assert refusal.code == "account-expired"


@pytest.mark.parametrize("code", ["wrong-password", "account-expired"])
@pytest.mark.parametrize("may_read", [True, False])
def test_who_may_not_read_the_hashes_does_not_call_a_password_wrong(
    monkeypatch: pytest.MonkeyPatch, code: str, may_read: bool
) -> None:
    monkeypatch.setattr(system, "may_read_hashes", lambda: may_read)
    monkeypatch.setattr(authenticate, "some_service_is_silent", lambda *_: False)
    found = authenticate._what_is_true_instead(CONFIG, "alice", Refusal(code, "No.", "PAM error 7"))
    assert found.code == (code if may_read else "passwords-unavailable")
    assert found.detail.endswith("PAM error 7")


def test_what_was_decided_for_another_reason_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "may_read_hashes", lambda: False)
    refusal = Refusal("no-shell", "No shell.")
    assert authenticate._what_is_true_instead(CONFIG, "alice", refusal) is refusal
