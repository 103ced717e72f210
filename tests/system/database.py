"""Looks into the hub's database, reading only. Run by pytest as root."""

from __future__ import annotations

import json

from tests.system.host import Host
from tests.system.service import DATABASE

_QUERY = """
import json, sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
print(json.dumps(connection.execute(sys.argv[2]).fetchall()))
"""


def query(host: Host, statement: str) -> list[list[object]]:
    out = host.run("/usr/bin/python3", "-I", "-c", _QUERY, DATABASE, statement).out
    rows: list[list[object]] = json.loads(out)
    return rows


def server_tokens(host: Host) -> tuple[str, ...]:
    """The notes of the tokens that servers hold; a stopped server must hold none."""
    rows = query(host, "SELECT note FROM api_tokens WHERE note LIKE 'Server at %' ORDER BY note")
    return tuple(str(row[0]) for row in rows)


def known_users(host: Host) -> set[str]:
    return {str(row[0]) for row in query(host, "SELECT name FROM users")}
