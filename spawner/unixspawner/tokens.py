"""What a server is for the hub: its client, and its token, known by its hash. Runs in the hub.

JupyterHub forgets the token itself when it restarts or when a stop fails, and would then leave it
in the database for ever. Its number in the database would not do: SQLite gives the number of a row
that was deleted to the next one, which is somebody else's token.
"""

from typing import Any
from urllib.parse import quote

from jupyterhub import orm


def client_id(account: str, server_name: str) -> str:
    """What the hub's OAuth calls a server, and the server its cookie: never the same for two.

    JupyterHub joins both names with a hyphen, so that alice's server "b" is the one of alice-b:
    whoever starts first keeps the other from starting. No account's name has a tilde.
    """
    person = f"jupyterhub-user-{quote(account, safe='')}"
    return f"{person}~{quote(server_name, safe='')}" if server_name else person


def hash_of(db: Any, token: str) -> str:
    """What the database knows a token by, empty when it does not."""
    found = orm.APIToken.find(db, token) if token else None
    return str(found.hashed) if found is not None else ""


def revoke(db: Any, token_hash: str) -> None:
    """Nobody can use it from here on."""
    for found in db.query(orm.APIToken).filter_by(hashed=token_hash) if token_hash else ():
        db.delete(found)
        db.commit()
