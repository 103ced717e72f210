"""What a killed hub leaves behind is found by the next one, and what is in use is let alone."""

import asyncio
import logging
import pathlib
import sqlite3
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from unixspawner import ending, records, sockets, tidying, tokens
from unixspawner.process import boot_id
from unixspawner.records import Record
from unixspawner_mediator.protocol import ProcessIdentity, unknown_process

OTHER_SIDE = str(pathlib.Path(__file__).with_name("other_side.py"))
SERVER, ANOTHER = "0" * 32, "1" * 32
log = logging.getLogger(__name__)


def make(directory: pathlib.Path, server_id: str, **fields: object) -> Record:
    path = sockets.fresh_path(str(directory))
    record = Record(
        "alice", 1001, "lab", server_id, path, "sha512:1:salt:hash", unknown_process(boot_id())
    )
    return record._replace(**fields)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _nothing_is_held() -> Iterator[None]:
    yield
    records.held.clear()


def test_a_record_is_read_as_it_was_written(tmp_path: pathlib.Path) -> None:
    started = make(tmp_path, SERVER, process=ProcessIdentity(4711, 90210, boot_id()))
    for record in (make(tmp_path, ANOTHER), started):
        records.write(record)
        assert record in list(records.unheld(str(tmp_path)))
    assert records.from_state("alice", "lab", started.state()) == started


def test_what_a_spawner_looks_after_is_nobody_elses(tmp_path: pathlib.Path) -> None:
    held, left = make(tmp_path, SERVER), make(tmp_path, ANOTHER)
    for record in (held, left):
        records.write(record)
    records.held[held.server_id] = held
    assert list(records.unheld(str(tmp_path))) == [left]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"user": "alice"}', '"x"'])
def test_half_a_record_is_none(tmp_path: pathlib.Path, content: str) -> None:
    (tmp_path / f"{SERVER}.json").write_text(content)
    assert list(records.unheld(str(tmp_path))) == []


def test_other_files_are_passed_over(tmp_path: pathlib.Path) -> None:
    for name in (f"{SERVER}.json.new", "x.json", "README", f"{SERVER}.sock"):
        (tmp_path / name).write_text("{}")
    assert list(records.unheld(str(tmp_path))) == []
    assert list(records.unheld(str(tmp_path / "no such directory"))) == []


def test_a_socket_that_nobody_knows_is_found(tmp_path: pathlib.Path) -> None:
    held, left = make(tmp_path, SERVER), make(tmp_path, ANOTHER)
    stray = sockets.fresh_path(str(tmp_path))
    for path in (held.socket, left.socket, stray):
        sockets.listen(path).close()
    records.write(left)
    records.held[held.server_id] = held
    assert records.forgotten_sockets(str(tmp_path)) == [stray]


def command(behaviour: str) -> list[str]:
    return [sys.executable, OTHER_SIDE, behaviour]


@pytest.mark.parametrize(
    ("behaviour", "is_gone"), [("stops", True), ("leaves", False), ("refuses", False)]
)
async def test_a_record_goes_when_nothing_is_left(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, is_gone: bool
) -> None:
    revoked: list[str] = []
    monkeypatch.setattr(tokens, "revoke", lambda _db, token: revoked.append(token))
    records.write(make(tmp_path, SERVER))
    tidy = tidying.Tidying(str(tmp_path), lambda _user: command(behaviour), None, log)
    await tidy.look()
    assert revoked == ["sha512:1:salt:hash"]
    assert (list(records.unheld(str(tmp_path))) == []) is is_gone


async def test_what_failed_is_not_asked_again_at_once(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(tokens, "revoke", lambda _db, _number: None)

    def ask(uid: int) -> list[str]:
        asked.append(uid)
        return command("refuses")

    records.write(make(tmp_path, SERVER))
    tidy = tidying.Tidying(str(tmp_path), ask, None, log)
    await tidy.look()
    await tidy.look()
    assert asked == [1001]


async def test_a_look_that_fails_is_not_the_last(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a database that is locked for a moment."""
    rolled_back = asyncio.Event()
    revoke = iter([sqlite3.OperationalError("database is locked"), None])

    def revoked(_db: Any, _token: str) -> None:
        if error := next(revoke):
            raise error

    monkeypatch.setattr(tokens, "revoke", revoked)
    monkeypatch.setattr(tidying, "EVERY", 0.01)
    records.write(make(tmp_path, SERVER))
    db = SimpleNamespace(rollback=rolled_back.set)
    tidy = tidying.Tidying(str(tmp_path), lambda _uid: command("stops"), db, log)
    task = asyncio.create_task(tidy.keep_tidy())
    async with asyncio.timeout(20):
        await rolled_back.wait()
        while list(records.unheld(str(tmp_path))):
            await asyncio.sleep(0.01)
    task.cancel()


async def test_a_server_of_another_boot_is_forgotten_without_asking(
    tmp_path: pathlib.Path,
) -> None:
    earlier = ProcessIdentity(1, 1, "11111111-2222-3333-4444-555555555555")
    record = make(tmp_path, SERVER, process=earlier)
    records.write(record)
    assert await ending.end(record, ["/nonexistent"], log) == ending.NOTHING
    assert list(tmp_path.iterdir()) == []
