"""Lines of the audit stream: one event, one line, bounded, escaped, in two formats."""

import json
import logging
import re

import pytest

from unixspawner import audit

FIELDS = {
    "event": "sign-in",
    "who": "alice",
    "source": "192.0.2.7",
    "outcome": "refused",
    "reason": "wrong-password",
}


def test_a_line_is_keys_and_values() -> None:
    assert audit.line(FIELDS, "text") == (
        "event=sign-in who=alice source=192.0.2.7 outcome=refused reason=wrong-password"
    )


def test_or_json() -> None:
    line = audit.line(FIELDS, "json")
    assert json.loads(line) == FIELDS
    assert "\n" not in line


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("alice/gpu-lab", "alice/gpu-lab"),
        ("service:idle-culler", "service:idle-culler"),
        ("2001:db8::1", "2001:db8::1"),
        ("a b", '"a b"'),
        ("x outcome=ok", '"x outcome=ok"'),
        ('a"b', r'"a\"b"'),
        ("a\nevent=sign-in who=root", r'"a\nevent=sign-in who=root"'),
        ("\x1b[2J", r'"\u001b[2J"'),
        ("\u202eevil", r'"\u202eevil"'),
        ("älice", r'"\u00e4lice"'),
        ("%s%n", '"%s%n"'),
        ("", '""'),
    ],
)
def test_a_value_cannot_look_like_another_field_or_line(value: str, shown: str) -> None:
    assert audit.line({"who": value}, "text") == f"who={shown}"
    assert json.loads(audit.line({"who": value}, "json")) == {"who": value}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_is_bounded(form: audit.Format) -> None:
    line = audit.line(dict.fromkeys(FIELDS, "\x1b" * 1000000), form)
    assert len(line) < 4000
    assert re.fullmatch(r"[ -~]+", line)


def test_a_named_server_is_named() -> None:
    assert audit.server_name("alice", "") == "alice"
    assert audit.server_name("alice", "lab") == "alice/lab"


def test_what_is_recorded_is_in_the_hubs_log_without_empty_fields(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    records: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(audit._stream._lines, "put_nowait", records.append)
    log = logging.getLogger("test-audit")
    monkeypatch.setattr(audit._stream, "hub_log", log)
    with caplog.at_level(logging.INFO, "test-audit"):
        audit.record("adopt", who=audit.HUB, whom="alice", outcome="ok")
    fields = {"event": "adopt", "who": "unixspawner", "whom": "alice", "outcome": "ok"}
    assert records == [("event=adopt who=unixspawner whom=alice outcome=ok", fields)]
    assert caplog.messages == ["Audit: event=adopt who=unixspawner whom=alice outcome=ok"]


def test_a_system_log_that_is_stuck_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stream = audit._Stream()
    stream._writer = audit._stream._writer or object()  # type: ignore[assignment]  # never reads
    for _ in range(audit.KEPT + 1):
        stream.write("line", {})
    assert caplog.messages[-1].startswith("The system's log is stuck")
