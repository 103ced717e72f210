"""Who has something to lose: a server, a token, a browser that is signed in. Runs in the hub.

A browser's session is a cookie that carries the `cookie_id` of the person's row in the database.
Ours begins with the uid of the account that signed in, so that a session never passes to another
account of the same name, and so that one look at the row tells whether there can be a session.
"""

import datetime
from typing import Any, NamedTuple

from jupyterhub import orm
from jupyterhub.utils import new_token

_SEPARATOR = ":"


class Person(NamedTuple):
    """A row of the hub's users. `uid` is the account's when it signed in, 0 where nobody has."""

    id: int
    name: str
    uid: int
    is_admin: bool


def session_of(uid: int) -> str:
    """A fresh cookie_id for an account that has just signed in."""
    return f"{uid}{_SEPARATOR}{new_token()}"


def no_session() -> str:
    """A fresh cookie_id that no cookie carries."""
    return str(new_token())


def uid_of(cookie_id: str) -> int:
    """The account whose sessions these are, 0 when there are none."""
    uid, separator, _ = cookie_id.partition(_SEPARATOR)
    return int(uid) if separator and uid.isascii() and uid.isdigit() else 0


def open_session(db: Any, user: Any, uid: int) -> None:
    """Somebody has signed in: their cookies are for this account and no other of that name."""
    if uid_of(user.cookie_id) != uid:
        user.cookie_id = session_of(uid)
        db.commit()


def end_sessions(db: Any, orm_user: Any) -> None:
    """Every cookie and every token of a person is worth nothing from here on."""
    orm_user.cookie_id = no_session()
    for each in [*orm_user.api_tokens, *orm_user.oauth_codes]:
        db.delete(each)
    db.commit()


def end_unmarked_sessions(db: Any) -> None:
    """At the hub's start: a cookie_id without an account never was one of a sign-in of ours."""
    for user in db.query(orm.User).filter(~orm.User.cookie_id.contains(_SEPARATOR)):
        if user.last_activity is not None:
            user.cookie_id = no_session()
    db.commit()


def with_something_to_lose(
    db: Any, active: set[int], now: datetime.datetime, cookie_days: float
) -> list[Person]:
    """The people to watch. `active` are the numbers of those with servers; times are UTC."""
    user, token, oldest = orm.User, orm.APIToken, now - datetime.timedelta(days=cookie_days)
    has_session = user.cookie_id.contains(_SEPARATOR) & (
        user.last_activity.is_(None) | (user.last_activity > oldest)
    )
    has_token = user.api_tokens.any(token.expires_at.is_(None) | (token.expires_at > now))
    has_server = user._orm_spawners.any(orm.Spawner.server_id.is_not(None))
    rows = db.query(user.id, user.name, user.cookie_id, user.admin).filter(
        has_session | has_token | has_server | user.id.in_(active)
    )
    return [Person(row[0], row[1], uid_of(row[2]), bool(row[3])) for row in rows]
