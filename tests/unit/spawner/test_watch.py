"""What the watch makes of an answer: who must go, and why."""

import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest

from unixspawner import files
from unixspawner.examination import Examination
from unixspawner.membership import Answer, Membership, Standing
from unixspawner.people import Person
from unixspawner.watch import Watch
from unixspawner_mediator.protocol import Verdict

USERS, ADMINS = "jupyterhub-users", "jupyterhub-admins"
YES, NO, CANNOT_TELL = Answer.YES, Answer.NO, Answer.CANNOT_TELL
ALICE = Person(1, "alice", 1001, False)
IN = Standing(1001, YES, {USERS: YES, ADMINS: NO})


class Done:
    """Stands in for the revocation: what would have been done."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []

    def begin(self, person: Person, reason: str) -> None:
        self.done.append((person.name, reason))

    def change_admin(self, person: Person, is_admin: bool) -> None:
        self.done.append((person.name, is_admin))

    def is_over(self, name: str) -> None:
        pass


def watch_over(users: dict[int, Any]) -> Watch:
    app = SimpleNamespace(log=logging.getLogger("test-watch"), users=users)
    return Watch(
        app,
        Membership(USERS, ADMINS),
        Examination([], app.log),
        users_group=USERS,
        admins_group=ADMINS,
        interval=3.0,
    )


def act(person: Person, standing: Standing, verdict: Verdict, *servers: int) -> list[Any]:
    """`servers` are the uids of the person's servers that run."""
    spawners = {str(uid): SimpleNamespace(uid=uid) for uid in servers}
    watch = watch_over({person.id: SimpleNamespace(spawners=spawners)} if servers else {})
    done = Done()
    watch._revocation = cast(Any, done)
    watch._act(person, standing, verdict)
    return done.done


@pytest.mark.parametrize("verdict", ["open", "unknown"])
@pytest.mark.parametrize(
    "standing",
    [
        IN,
        Standing(1001, YES, {USERS: YES}),
        Standing(1001, YES, {USERS: CANNOT_TELL}),
        Standing(0, CANNOT_TELL, {USERS: YES}),
        Standing(0, CANNOT_TELL, {USERS: CANNOT_TELL}),
    ],
)
def test_without_a_certain_no_nothing_happens(standing: Standing, verdict: Verdict) -> None:
    assert act(ALICE, standing, verdict) == []


@pytest.mark.parametrize(
    ("standing", "verdict", "reason"),
    [
        (Standing(0, NO, {USERS: NO}), "unknown", "no-account"),
        (Standing(0, NO, {USERS: YES}), "unknown", "no-account"),
        (Standing(1002, YES, {USERS: YES}), "open", "uid-changed"),
        (Standing(1001, YES, {USERS: NO}), "open", "left-group"),
        (Standing(0, CANNOT_TELL, {USERS: NO}), "unknown", "left-group"),
        (IN, "locked", "locked"),
        (IN, "expired", "expired"),
    ],
)
def test_a_certain_no_has_its_reason(standing: Standing, verdict: Verdict, reason: str) -> None:
    assert act(ALICE, standing, verdict) == [("alice", reason)]


@pytest.mark.parametrize(
    ("session", "servers", "reasons"),
    [
        (0, (), []),  # a token alone: nobody knows whose it was
        (0, (1001,), []),
        (1001, (1001, 0), []),
        (0, (1002,), ["uid-changed"]),
        (1001, (1001, 1002), ["uid-changed"]),
        (1002, (), ["uid-changed"]),
    ],
)
def test_sessions_and_servers_are_one_accounts(
    session: int, servers: tuple[int, ...], reasons: list[str]
) -> None:
    done = act(ALICE._replace(uid=session), IN, "open", *servers)
    assert done == [("alice", reason) for reason in reasons]


@pytest.mark.parametrize(
    ("is_admin", "answer", "done"),
    [
        (False, YES, [("alice", True)]),
        (True, NO, [("alice", False)]),
        (True, YES, []),
        (False, NO, []),
        (True, CANNOT_TELL, []),
        (False, CANNOT_TELL, []),
    ],
)
def test_administrators_follow_their_group(is_admin: bool, answer: Answer, done: list[Any]) -> None:
    standing = Standing(1001, YES, {USERS: YES, ADMINS: answer})
    assert act(ALICE._replace(is_admin=is_admin), standing, "open") == done


async def test_who_signs_in_and_is_put_out_once_more_is_noted_once_more() -> None:
    """Also when the watch has not looked in between."""
    watch = watch_over({})
    watch._revocation._told.add("alice")
    watch.has_come_in("alice")
    assert watch._revocation.told == frozenset()


def test_a_file_that_is_replaced_is_seen(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "group"
    path.write_text("jupyterhub-users:x:997:alice\n")
    monkeypatch.setattr(files, "FILES", (str(path), str(tmp_path / "not-there")))
    before = files.signature()
    assert files.signature() == before
    other = tmp_path / "group+"
    other.write_text("jupyterhub-users:x:997:alice\n")
    other.replace(path)
    assert files.signature() != before
