"""A server's token is taken back, and never somebody else's that has its number by now."""

import re
from typing import Any

from jupyterhub import orm

from unixspawner import tokens


def test_no_two_servers_have_one_client() -> None:
    names = ("", "b", "b-c", "b~c", "b/c", "é", "~", "~b", "-")
    people = ("alice", "alice-b", "alice-", "alice.b", "alice@b", "alice+b", "alice_b")
    ids = {tokens.client_id(person, name) for person in people for name in names}
    assert len(ids) == len(people) * len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) for name in ids)  # of a cookie


def make(db: Any, name: str) -> tuple[int, str]:
    """The number and the hash of a new token of a new person."""
    user = orm.User(name=name)
    db.add(user)
    db.commit()
    found = orm.APIToken.find(db, user.new_api_token())
    assert found is not None
    return found.id, found.hashed


def test_it_is_known_by_its_hash(db: Any) -> None:
    user = orm.User(name="alice")
    db.add(user)
    db.commit()
    token = user.new_api_token()
    assert tokens.hash_of(db, token) == orm.APIToken.find(db, token).hashed
    assert tokens.hash_of(db, "another") == tokens.hash_of(db, "") == ""


def test_a_number_that_somebody_else_has_by_now_takes_nothing_from_them(db: Any) -> None:
    number, alices = make(db, "alice")
    tokens.revoke(db, alices)
    assert db.query(orm.APIToken).all() == []
    again, bobs = make(db, "bob")
    assert again == number
    tokens.revoke(db, alices)
    assert [token.hashed for token in db.query(orm.APIToken)] == [bobs]


def test_nothing_is_revoked_without_a_hash(db: Any) -> None:
    _, alices = make(db, "alice")
    tokens.revoke(db, "")
    assert [token.hashed for token in db.query(orm.APIToken)] == [alices]
