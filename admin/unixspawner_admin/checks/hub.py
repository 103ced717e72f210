"""The hub itself: which release runs, whether it answers this command, its database, a drain."""

import json
import sqlite3
import stat
from collections.abc import Iterator

from .. import as_account, draining, hub_api, paths, release, services, system, wording
from ..as_account import Emit
from ..errors import AdminError
from ..findings import Finding, judge
from ..options import Options

_SECONDS = 20.0
_EXPIRED = """
SELECT count(*) FROM api_tokens
WHERE note LIKE 'Server at %' AND expires_at IS NOT NULL AND expires_at < datetime('now')
"""


def check(options: Options) -> Iterator[Finding]:
    yield from _additions()
    if services.runs(services.HUB):
        yield _answers(options)
        yield from _runs_from(options)
    if system.file_status(paths.DATABASE) is not None:
        yield from _database(options)
    yield from _draining(options)


def _additions() -> Iterator[Finding]:
    for path in sorted(paths.ADDITIONS.glob("*.py")):
        status = path.stat()
        right = status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        wrong = f"{path} can be written by others than root: the hub will not start"
        cure = f"chown root {path} && chmod go-w {path}"
        yield judge(right, f"{path} is root's alone", cure, wrong=wrong)


def _answers(options: Options) -> Finding:
    try:
        hub_api.users(options, active=True)
    except AdminError as error:
        text = f"the hub does not answer this command: {error}"
        return Finding("failure", text, release.restart())
    return Finding("ok", "the hub answers this command at its own socket")


def _runs_from(options: Options) -> Iterator[Finding]:
    """Of the hub's processes those that are a hub: they name the configuration."""
    current = release.current()
    for pid in system.processes_of(options.hub_account):
        words = system.read_process(pid, "cmdline").split(b"\0")
        if b"unixspawner" in words and str(paths.HUB_CONFIG).encode() in words:
            right = current is not None and words[0].startswith(f"{current}/".encode())
            wrong = f"the hub (process {pid}) runs from another release than the current one"
            text = "the hub runs from the current release"
            yield judge(right, text, release.restart(), "warning", wrong=wrong)


def _database(options: Options) -> Iterator[Finding]:
    def look(emit: Emit) -> None:
        with sqlite3.connect(f"file:{paths.DATABASE}?mode=ro", uri=True, timeout=5) as database:
            health = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            expired = database.execute(_EXPIRED).fetchone()[0]
        emit(json.dumps([str(health), int(expired)]).encode())

    try:
        health, expired = json.loads(as_account.call(options.hub_account, look, _SECONDS))
    except (AdminError, OSError) as error:
        yield Finding("failure", f"the hub's database cannot be read: {error}", _restore())
        return
    yield judge(health == "ok", "the hub's database is sound", _restore(), wrong=str(health))
    wrong = f"the tokens of {wording.count(expired, 'server')} have expired: was the clock wrong?"
    cure = "unixspawner status   # then stop those servers: unixspawner stop NAME"
    yield judge(not expired, "no server's token has expired", cure, "warning", wrong=wrong)


def _restore() -> str:
    return f"ls -l {paths.STATE}   # put a backup of {paths.DATABASE.name} back, as its owner"


def _draining(options: Options) -> Iterator[Finding]:
    found = draining.read(options)
    if found is not None:
        text = f"no new servers start since {found.since:%Y-%m-%d %H:%M}: {found.message}"
        yield Finding("warning", text, "unixspawner drain --end")
