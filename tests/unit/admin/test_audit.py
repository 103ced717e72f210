"""What an administrator did is one bounded, escaped line, and says who became root."""

import os
import pwd

import pytest

from unixspawner_admin import audit


def test_a_name_that_people_made_up_stays_on_its_line() -> None:
    text = audit.line({"event": "stop", "whom": "alice/x\nevent=stop who=root\x1b[2J" + "y" * 500})
    assert text.startswith('event=stop whom="alice/x\\nevent=stop who=root\\u001b[2J')
    assert len(text) < 150
    assert text.isprintable()


@pytest.mark.parametrize(
    ("login", "sudo", "who"),
    [("0", "", "root"), ("4294967295", "0", "root"), ("", "no number", "root"), ("", "", "root")],
)
def test_who_became_root(monkeypatch: pytest.MonkeyPatch, login: str, sudo: str, who: str) -> None:
    monkeypatch.setattr(audit, "_login_uid", lambda: login)
    monkeypatch.setenv("SUDO_UID", sudo)
    assert audit.administrator() == who


def test_the_kernel_is_asked_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    somebody = next(entry for entry in pwd.getpwall() if entry.pw_uid != os.getuid())
    monkeypatch.setattr(audit, "_login_uid", lambda: str(somebody.pw_uid))
    monkeypatch.setenv("SUDO_UID", str(os.getuid()))
    assert audit.administrator() == somebody.pw_name
