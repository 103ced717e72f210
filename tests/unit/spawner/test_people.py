"""Who has something to lose, in a database of JupyterHub's own making."""

import datetime
from typing import Any

import pytest
from jupyterhub import orm

from unixspawner import people

NOW = datetime.datetime(2026, 1, 31, 12)
DAY = datetime.timedelta(days=1)


def make(db: Any, name: str, last_activity: datetime.datetime | None = None) -> Any:
    user = orm.User(name=name, last_activity=last_activity)
    db.add(user)
    db.commit()
    return user


def present(db: Any, active: set[int] | None = None) -> list[str]:
    found = people.with_something_to_lose(db, active or set(), NOW, 14)
    return sorted(person.name for person in found)


def test_nobody_has_something_to_lose_by_being_known(db: Any) -> None:
    make(db, "alice", NOW)
    assert present(db) == []


def test_who_has_signed_in_has_until_the_cookie_is_too_old(db: Any) -> None:
    for name, activity in (("alice", NOW), ("bob", NOW - 15 * DAY), ("carol", None)):
        people.open_session(db, make(db, name, activity), 1001)
    assert present(db) == ["alice", "carol"]


def test_tokens_count_until_they_expire(db: Any) -> None:
    for name, expires in (("alice", None), ("bob", NOW - DAY), ("carol", NOW + DAY)):
        user = make(db, name)
        user.new_api_token()
        user.api_tokens[0].expires_at = expires
    db.commit()
    assert present(db) == ["alice", "carol"]


def test_servers_count_in_the_database_or_in_memory(db: Any) -> None:
    alice, bob = make(db, "alice"), make(db, "bob")
    make(db, "carol")
    alice._orm_spawners.append(orm.Spawner(name="", server=orm.Server(base_url="/user/alice/")))
    bob._orm_spawners.append(orm.Spawner(name=""))
    db.commit()
    assert present(db) == ["alice"]
    assert present(db, {bob.id}) == ["alice", "bob"]


def test_a_session_is_one_accounts_and_no_other_of_that_name(db: Any) -> None:
    alice = make(db, "alice")
    people.open_session(db, alice, 1001)
    first = alice.cookie_id
    people.open_session(db, alice, 1001)
    assert alice.cookie_id == first  # signing in elsewhere signs nobody out
    people.open_session(db, alice, 1002)
    assert alice.cookie_id != first
    assert people.uid_of(alice.cookie_id) == 1002


def test_ending_leaves_no_session_no_token_and_no_code(db: Any) -> None:
    alice, bob = make(db, "alice", NOW), make(db, "bob", NOW)
    for user in (alice, bob):
        people.open_session(db, user, 1001)
        user.new_api_token()
        db.add(orm.OAuthCode(code=user.name, user=user))
    db.commit()
    before = alice.cookie_id
    people.end_sessions(db, alice)
    assert alice.cookie_id != before
    assert [token.user.name for token in db.query(orm.APIToken)] == ["bob"]
    assert [code.code for code in db.query(orm.OAuthCode)] == ["bob"]
    assert present(db) == ["bob"]


def test_cookies_from_before_us_are_worth_nothing(db: Any) -> None:
    old, new = make(db, "alice", NOW), make(db, "bob", NOW)
    people.open_session(db, new, 1001)
    cookies = old.cookie_id, new.cookie_id
    people.end_unmarked_sessions(db)
    assert old.cookie_id != cookies[0]
    assert new.cookie_id == cookies[1]


@pytest.mark.parametrize("cookie_id", ["", "abc", ":abc", "x:abc", "-1:abc", "\u0661:abc"])
def test_a_cookie_id_of_another_form_is_no_session(cookie_id: str) -> None:
    assert people.uid_of(cookie_id) == 0
