"""The token that a server has for the hub, known by its number. Runs in the hub.

JupyterHub forgets the token itself when it restarts or when a stop fails, and would then leave it
in the database for ever.
"""

from typing import Any

from jupyterhub import orm


def number_of(db: Any, token: str) -> int:
    """The database's number of a token, 0 when there is none."""
    found = orm.APIToken.find(db, token) if token else None
    return int(found.id) if found is not None else 0


def revoke(db: Any, number: int) -> None:
    """Nobody can use it from here on."""
    found = db.get(orm.APIToken, number) if number else None
    if found is not None:
        db.delete(found)
        db.commit()
