"""What people were called who have no account any more, as the hub's records tell it."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest

from unixspawner_admin import as_account, former
from unixspawner_admin.errors import AdminError
from unixspawner_mediator import name_service
from unixspawner_mediator.name_service import Entry, UnavailableError

HUB = pwd.getpwuid(os.getuid()).pw_name  # its records are ours here
UID = 2_999_999_999  # of nobody
ID, OTHER = "ab" * 16, "cd" * 16


@pytest.fixture(autouse=True)
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On a machine where bob has an account, and alice none."""
    monkeypatch.setattr(former, "SOCKETS", tmp_path)
    monkeypatch.setattr(former, "_answers", {})
    monkeypatch.setattr(former, "_silence", [])
    monkeypatch.setattr(name_service, "find_account", find_account)
    return tmp_path


def find_account(name: str) -> Entry | None:
    if name == "dave":
        raise UnavailableError("EAGAIN")
    return Entry("bob", 4002, 4002) if name == "bob" else None


def write(records: Path, name: str = ID, /, **fields: object) -> None:
    saved = {"user": "alice", "uid": UID, "server_id": name, "pid": 1, **fields}
    (records / f"{name}.json").write_text(json.dumps(saved))


def test_the_hub_knows_the_name(records: Path) -> None:
    write(records)
    assert former.names(HUB, [(UID, ID), (UID, OTHER)]) == {UID: "alice"}


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "bob"},
        {"user": "dave"},
        {"user": "4002"},
        {"user": "../alice"},
        {"user": None},
        {"uid": UID - 1},
        {"uid": str(UID)},
        {"uid": True},
        {"server_id": OTHER},
        {"server_id": None},
    ],
    ids=str,
)
def test_a_record_counts_for_its_own_server_and_a_name_that_nobody_has(
    records: Path, fields: dict[str, object]
) -> None:
    write(records, **fields)
    assert former.names(HUB, [(UID, ID)]) == {}


def test_whoever_has_a_name_keeps_it(records: Path) -> None:
    write(records, uid=os.getuid())
    assert former.names(HUB, [(os.getuid(), ID)]) == {}


def test_two_names_are_none(records: Path) -> None:
    write(records)
    write(records, OTHER, user="carol")
    assert former.names(HUB, [(UID, ID), (UID, OTHER)]) == {}


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 4000, "x" * 5000, "\n\n{}\n"])
def test_what_is_no_record_spoils_no_other(records: Path, text: str) -> None:
    write(records)
    (records / f"{OTHER}.json").write_text(text)
    assert former.names(HUB, [(UID, ID), (UID, OTHER)]) == {UID: "alice"}


def test_no_link_is_followed(records: Path) -> None:
    write(records)
    (records / f"{ID}.json").rename(records / "elsewhere")
    (records / f"{ID}.json").symlink_to(records / "elsewhere")
    assert former.names(HUB, [(UID, ID)]) == {}


def test_without_the_hubs_account_there_is_the_number(records: Path) -> None:
    write(records)
    assert former.names("no-such-account", [(UID, ID)]) == {}


def test_the_hub_is_asked_once_of_a_server_and_never_again_after_a_failure(
    records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(records)
    assert former.names(HUB, [(UID, ID)]) == {UID: "alice"}
    asked = []

    def call(*_: object) -> bytes:
        asked.append(True)
        raise AdminError("It takes too long.")

    monkeypatch.setattr(as_account, "call", call)
    assert former.names(HUB, [(UID, ID)]) == {UID: "alice"}
    assert asked == []
    assert former.names(HUB, [(UID, ID), (UID - 1, OTHER)]) == {UID: "alice"}
    assert former.names(HUB, [(UID - 2, "ef" * 16)]) == {}
    assert asked == [True]
