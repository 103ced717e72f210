"""What sudo says is told apart. The words are those of sudo 1.9.13; of sudo-rs where it says so."""

import pytest

from unixspawner.sudo_words import explain

MEDIATOR = "/usr/local/libexec/unixspawner/mediator"
SESSION = "sudo: policy plugin failed session initialization"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (f"sudo: pam_open_session: Module is unknown / {SESSION}", "session-failed"),
        (f"sudo: pam_open_session: Permission denied / {SESSION}", "session-failed"),
        (
            "sudo: account validation failure, is your account locked? / "
            "sudo: a password is required",
            "hub-account-unusable",
        ),
        (
            "sudo-rs: Account validation failure, is your account locked?",
            "hub-account-unusable",
        ),
        ("sudo-rs: PAM error: User account has expired", "hub-account-unusable"),
        (
            "sudo: Account or password is expired, reset your password and try again",
            "hub-account-unusable",
        ),
        (f"sudo: {MEDIATOR}: command not found", "mediator-missing"),
        (f"sudo: unable to execute {MEDIATOR}: No such file or directory", "mediator-missing"),
        (
            f"sudo-rs: cannot execute '{MEDIATOR}': Permission denied (os error 13)",
            "mediator-missing",
        ),
        (
            f"sudo: unable to execute {MEDIATOR}: Resource temporarily unavailable",
            "too-many-processes",
        ),
        (
            f"sudo-rs: cannot execute '{MEDIATOR}': Resource temporarily unavailable (os error 11)",
            "too-many-processes",
        ),
        (
            "sudo: unknown user alice / sudo: error initializing audit plugin sudoers_audit",
            "no-account",
        ),
        ("sudo-rs: user 'alice' not found", "no-account"),
        ("sudo: a password is required", "sudo-refused"),
        ("sudo-rs: I'm sorry jupyterhub. I'm afraid I can't do that", "sudo-refused"),
        ("sudo: /etc/sudoers.d/unixspawner is owned by uid 1001, should be 0", "sudo-refused"),
    ],
)
def test_each_failure_of_sudo_has_its_own_sentence(said: str, code: str) -> None:
    error = explain(said)
    assert error.code == code
    assert "ask" in error.message or "end some" in error.message  # what to do
    assert error.detail == f"sudo: {said}"


def test_sudo_without_a_word_is_not_called_a_refusal() -> None:
    error = explain("")
    assert error.code == "sudo-silent"
    assert "not allowed" not in error.message
