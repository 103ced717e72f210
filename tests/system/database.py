"""Looks into the hub's database, reading only. Run by pytest as root."""

from __future__ import annotations

import json

from tests.system.host import Host
from tests.system.service import DATABASE

QUERY = """
import json, sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
print(json.dumps(connection.execute(sys.argv[2]).fetchall()))
"""


def query(host: Host, statement: str) -> list[list[object]]:
    out = host.run("/usr/bin/python3", "-I", "-c", QUERY, DATABASE, statement).out
    rows: list[list[object]] = json.loads(out)
    return rows


# A stopped server must hold none.
TOKENS = "SELECT note FROM api_tokens WHERE note LIKE 'Server at %' ORDER BY note"


def server_tokens(host: Host) -> tuple[str, ...]:
    """The notes of the tokens that servers hold."""
    return tuple(str(row[0]) for row in query(host, TOKENS))


def notes(said: str) -> tuple[str, ...]:
    """The same, of what QUERY prints."""
    return tuple(str(row[0]) for row in json.loads(said))


def known_users(host: Host) -> set[str]:
    return {str(row[0]) for row in query(host, "SELECT name FROM users")}
