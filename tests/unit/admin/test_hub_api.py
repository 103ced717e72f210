"""Asking the hub: a real HTTP server at a Unix socket, which answers as a hub or as a stranger."""

from __future__ import annotations

import json
import os
import pwd
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from types import SimpleNamespace

import pytest

from unixspawner_admin import as_account, hub_api, hub_connection
from unixspawner_admin.as_account import Work
from unixspawner_admin.errors import AdminError
from unixspawner_admin.hub_api import HubDownError
from unixspawner_admin.options import Options

# The hub of these tests is a thread of ours; the command itself has none when it forks.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

ME = pwd.getpwuid(os.getuid()).pw_name
# who runs the tests may have a name that no system account may have
OPTIONS = Options(hub_account=ME if ME != "root" else "hub", base_url="/lab/")
TOKEN = "0123456789abcdef" * 4

Answer = tuple[int, object]
Hub = Callable[[str, str], Answer]


class Recorded:
    """What was asked, and how it is answered."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answer: Hub = lambda method, path: (200, {"items": []})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    recorded = Recorded()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            recorded.asked.append((self.command, self.path, self.headers["Authorization"]))
            status, value = recorded.answer(self.command, self.path)
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_DELETE = do_GET  # noqa: N815  the names are the base class's

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_args: object) -> None:
            pass

    (tmp_path / "admin-token").write_text(f"{TOKEN}\n")
    monkeypatch.setattr(hub_connection, "HUB_SOCKET", tmp_path / "hub.sock")
    monkeypatch.setattr(hub_connection, "ADMIN_TOKEN", tmp_path / "admin-token")
    monkeypatch.setattr(as_account, "_identity", lambda _name: pwd.getpwnam(ME))
    with ThreadingUnixStreamServer(str(tmp_path / "hub.sock"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield recorded
        server.shutdown()
        thread.join()


def user(name: str, **servers: str) -> dict[str, object]:
    models = {
        key.strip("_"): {
            "name": key.strip("_"),
            "pending": pending or None,
            "started": "2026-11-20T09:00:00.000000Z",
            "last_activity": "2026-11-20T10:00:00.000000Z",
        }
        for key, pending in servers.items()
    }
    return {"name": name, "last_activity": None, "servers": models}


def test_people_and_their_servers(hub: Recorded) -> None:
    hub.answer = lambda method, path: (
        200,
        {"items": [user("alice", _="", lab="spawn"), user("b")]},
    )
    alice, bob = hub_api.users(OPTIONS)
    assert [(s.name, s.pending) for s in alice.servers] == [("", ""), ("lab", "spawn")]
    assert alice.servers[0].started is not None
    assert alice.servers[0].started.isoformat() == "2026-11-20T09:00:00+00:00"
    assert (bob.name, bob.servers, bob.last_activity) == ("b", (), None)
    assert hub.asked == [("GET", "/lab/hub/api/users?limit=200&offset=0", f"token {TOKEN}")]


def test_all_pages_of_a_long_list_are_asked_for(hub: Recorded) -> None:
    names = [f"p{number}" for number in range(450)]

    def answer(_method: str, path: str) -> Answer:
        offset = int(path.partition("offset=")[2].partition("&")[0])
        return 200, {"items": [user(name) for name in names[offset : offset + 200]]}

    hub.answer = answer
    assert [each.name for each in hub_api.users(OPTIONS, active=True)] == names
    assert [path.partition("?")[2] for _, path, _ in hub.asked] == [
        f"limit=200&offset={offset}&state=active" for offset in (0, 200, 400)
    ]


def test_a_session_is_a_yes_and_its_number_stays_where_it_is(
    hub: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_method: str, path: str) -> Answer:
        number = "secret" if "alice" in path else None
        return 200, {"api_tokens": [{"session_id": None}, {"session_id": number}]}

    hub.answer = answer
    seen: list[bytes] = []

    def call(account: str, work: Work, seconds: float, limit: int) -> bytes:
        seen.append(as_account.call(account, work, seconds, limit))
        return seen[-1]

    monkeypatch.setattr(hub_api, "as_account", SimpleNamespace(call=call))
    assert hub_api.signed_in(OPTIONS, ["alice", "bob"]) == {"alice"}
    assert seen == [b"true\nfalse\n"]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"not JSON",
        b"[" * 100_000,
        [],
        {"items": 7},
        {"items": None},
        {},
    ],
    ids=str,
)
def test_what_is_no_answer_is_a_sentence(hub: Recorded, value: object) -> None:
    hub.answer = lambda method, path: (200, value)
    with pytest.raises(AdminError):
        hub_api.users(OPTIONS)


def test_odd_values_are_no_values(hub: Recorded) -> None:
    odd = {"name": 7, "last_activity": "yesterday", "servers": {"": {"pending": ["x"]}, "b": 3}}
    hub.answer = lambda method, path: (200, {"items": [odd, "x"]})
    (found,) = hub_api.users(OPTIONS)
    assert (found.name, found.last_activity) == ("", None)
    assert [(each.name, each.pending) for each in found.servers] == [("", "")]


def test_a_refused_token_says_what_to_do(hub: Recorded) -> None:
    hub.answer = lambda method, path: (403, {"message": "Forbidden"})
    with pytest.raises(AdminError, match="does not accept the token of this command: restart"):
        hub_api.users(OPTIONS)


def test_no_hub_no_answer(hub: Recorded, tmp_path: Path) -> None:
    (tmp_path / "hub.sock").unlink()
    with pytest.raises(
        HubDownError, match=r"The hub does not answer \(No such file or directory\)"
    ):
        hub_api.users(OPTIONS)


def test_a_token_is_not_looked_for_elsewhere(hub: Recorded, tmp_path: Path) -> None:
    """What the hub's account puts in its place is no way to have root send it another file."""
    token = tmp_path / "admin-token"
    token.rename(tmp_path / "elsewhere")
    token.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HubDownError, match="Too many levels of symbolic links"):
        hub_api.users(OPTIONS)
    token.unlink()
    os.mkfifo(token)
    with pytest.raises(AdminError, match="is not a regular file"):
        hub_api.users(OPTIONS)
    assert hub.asked == []
