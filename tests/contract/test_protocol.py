"""The messages between the hub and the privileged programs, fixed by files.

golden/ holds one example of each message as it travels; refused/ one message per file that
must be refused: the reason on the first line, the message on the second.
"""

import json
import pathlib
from typing import Any

import pytest

from unixspawner_mediator import protocol

HERE = pathlib.Path(__file__).parent
BOOT = "3f1b8a52-0c4d-4a8e-9a51-1d2c3b4a5968"
SERVER = "0123456789abcdef0123456789abcdef"
IDENTITY = protocol.ProcessIdentity(4711, 90210, BOOT)

GOLDEN: dict[str, protocol.Request | protocol.Reply] = {
    "start": protocol.StartRequest(
        "alice",
        "",
        SERVER,
        {"JUPYTERHUB_USER": "alice", "JUPYTERHUB_API_TOKEN": "not-a-real-token"},
    ),
    "start-named": protocol.StartRequest("alice", "gpu-lab", SERVER, {}),
    "stop": protocol.StopRequest("alice", 1001, "", SERVER, IDENTITY),
    "stop-unknown": protocol.StopRequest("alice", 1001, "", SERVER, protocol.unknown_process(BOOT)),
    "authenticate": protocol.AuthenticateRequest("alice", 'pässword " with \\ and\nline'),
    "examine": protocol.ExamineRequest(["alice", "bob"]),
    "starting": protocol.Starting(IDENTITY, ["LD_PRELOAD"]),
    "starting-trouble": protocol.Starting(
        IDENTITY,
        [],
        "home-missing",
        "Your home directory /home/alice does not exist: ask your administrator.",
    ),
    "stopped": protocol.Stopped(3, 1, "one\n\ttwo\n"),
    "authenticated": protocol.Authenticated("alice"),
    "examined": protocol.Examined({"alice": "open", "bob": "locked"}),
    "refused": protocol.Refused(
        "no-shell",
        "The account alice may not log in on this machine (its shell is not set): "
        "ask your administrator.",
    ),
    "fault": protocol.Faulted("internal error"),
}
REQUESTS = (
    protocol.StartRequest,
    protocol.StopRequest,
    protocol.AuthenticateRequest,
    protocol.ExamineRequest,
)
REFUSED = sorted(path.stem for path in (HERE / "refused").glob("*.txt"))


def golden(name: str) -> bytes:
    return (HERE / "golden" / f"{name}.json").read_bytes()


def decode(data: bytes, message: object) -> object:
    if isinstance(message, REQUESTS):
        shape: Any = type(message)
        return protocol.decode_request(data, shape)
    return protocol.decode_reply(data)


def test_every_message_has_its_golden_file() -> None:
    assert {path.stem for path in (HERE / "golden").glob("*.json")} == set(GOLDEN)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_golden_message_is_read_as_it_always_was(name: str) -> None:
    assert decode(golden(name), GOLDEN[name]) == GOLDEN[name]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_message_is_written_as_it_always_was(name: str) -> None:
    assert protocol.encode(GOLDEN[name]) == golden(name).rstrip(b"\n")


def expected_shape(name: str) -> Any:
    if name.startswith("users-"):
        return protocol.ExamineRequest
    if name.startswith(("pid-", "uid-", "start-time-", "boot-id-", "nan")):
        return protocol.StopRequest
    if name.startswith("password-"):
        return protocol.AuthenticateRequest
    return protocol.StartRequest


@pytest.mark.parametrize("name", REFUSED)
def test_a_message_that_is_not_exactly_right_is_refused_with_its_reason(name: str) -> None:
    text = (HERE / "refused" / f"{name}.txt").read_text(encoding="utf-8")
    reason, message, _end = text.split("\n")
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.decode_request(message.encode(), expected_shape(name))
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a":' * 10_000, "nested too deeply"),
        (b" " * (protocol.MAX_REQUEST + 1), f"longer than {protocol.MAX_REQUEST} octets"),
        (b'{"version": 1, "verb": "\xff"}', "not JSON in UTF-8"),
        (b'\xef\xbb\xbf{"version": 1}', "not JSON in UTF-8"),
        (b'{"version": 1' + b"0" * 5000 + b"}", "not JSON in UTF-8"),
    ],
)
def test_what_no_file_can_show_is_refused_too(data: bytes, reason: str) -> None:
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.decode_request(data, protocol.StartRequest)
    assert str(caught.value) == reason


def test_a_server_that_starts_has_a_process() -> None:
    message = json.loads(golden("starting")) | {"pid": 0}
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.decode_reply(json.dumps(message).encode())
    assert str(caught.value) == "pid is not a positive integer"


def test_a_refusal_never_repeats_a_secret() -> None:
    message = json.loads(golden("authenticate")) | {"password": "hunter2\0"}
    with pytest.raises(protocol.ProtocolError) as caught:
        protocol.decode_request(json.dumps(message).encode(), protocol.AuthenticateRequest)
    assert "hunter2" not in str(caught.value)


def test_the_longest_reply_fits() -> None:
    for character in ("é", "漢", "😀", '"', "\\", "\n"):
        stopped = protocol.Stopped(2**62, 2**62, character * protocol.LOG_TAIL)
        assert protocol.decode_reply(protocol.encode(stopped)) == stopped
        if character != "\n":
            refused = protocol.Refused("x" * 41, character * 1000)
            assert protocol.decode_reply(protocol.encode(refused)) == refused


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alice", "alice"),
        ("a\nb\x1b[2J\0", "a\\nb\\x1b[2J\\x00"),
        ("\u202eevil", "\\u202eevil"),
        ("x" * 1_000_000, "x" * 40 + "... (1000000 characters)"),
    ],
)
def test_what_goes_to_a_log_is_one_bounded_line(text: str, shown: str) -> None:
    assert protocol.printable(text, 40) == shown
