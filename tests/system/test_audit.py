"""The audit stream: exactly these lines for what people and programs do, and no secret in them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from tests.system.accounts import Accounts, changed
from tests.system.audit_lines import AuditLines
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.logs import HubLog
from tests.system.people import server_of
from tests.system.service import answers, service_command
from tests.system.system_log import system_log
from tests.system.visits import open_socket, token_of, visit

TAG = "unixspawner-audit"
ADDITION = "/etc/unixspawner/jupyterhub_config.d/99-test.py"
SETTINGS = """
c.UnixAuthenticator.audit_format = "json"
c.JupyterHub.services = [{{"name": "idle-culler", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{
    "name": "culler", "services": ["idle-culler"], "scopes": ["delete:servers", "list:users"]
}}]
"""


@pytest.fixture
def audit(hub_log: HubLog) -> AuditLines:
    return AuditLines(hub_log)


def test_a_day_of_alice_and_an_administrator(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    alice, carol = browser(), browser()
    alice.submit_sign_in("alice", "wrong")
    alice.sign_in(accounts.alice)
    carol.sign_in_only(accounts.carol)
    carol.start("alice", "lab")
    visit(carol, "alice", "lab")
    alice.stop("alice")
    host.run("kill", "-KILL", str(server_of(host, "alice").pid))
    audit.wait_for("event=stop who=unixspawner whom=alice/lab outcome=ended")
    assert audit.about("alice") == [
        "event=sign-in who=alice source=127.0.0.1 outcome=refused reason=wrong-password",
        "event=sign-in who=alice source=127.0.0.1 outcome=ok",
        "event=start who=alice whom=alice source=127.0.0.1 outcome=ok",
        "event=start who=carol whom=alice/lab source=127.0.0.1 outcome=ok",
        "event=access who=carol whom=alice/lab source=127.0.0.1 outcome=ok",
        "event=stop who=alice whom=alice source=127.0.0.1 outcome=ok",
        "event=stop who=unixspawner whom=alice/lab outcome=ended",
    ]
    assert "event=sign-in who=carol source=127.0.0.1 outcome=ok" in audit.all()


def test_an_administrators_tokens_are_access_too(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    """One made for alice, and one of his own that her server is shown: each is written once."""
    alice, carol = browser(), browser()
    alice.sign_in(accounts.alice)
    carol.sign_in_only(accounts.carol)
    token_of(carol, "alice")
    header = {"Authorization": f"token {token_of(carol, 'carol')}"}
    for _ in range(3):
        answer = httpx.get(f"{host.url}user/alice/whoami", headers=header)
        assert (answer.status_code, answer.json()["visitor"]) == (200, "carol")
    assert [line for line in audit.all() if "event=access" in line] == [
        "event=access who=carol whom=alice source=127.0.0.1 outcome=ok reason=token-made",
        "event=access who=carol whom=alice outcome=ok reason=token-used",
    ]


def test_refusals_have_their_reason(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    browser().submit_sign_in("mallory", accounts.mallory.password)
    bob = browser()
    bob.sign_in_only(accounts.bob)
    shell = ("usermod", "-s")
    with changed(host, (*shell, "/usr/sbin/nologin", "bob"), (*shell, "/bin/bash", "bob")):
        bob.go("hub/spawn/bob")
        audit.wait_for(
            "event=start who=bob whom=bob source=127.0.0.1 outcome=refused reason=no-shell"
        )
    assert audit.about("mallory") == [
        "event=sign-in who=mallory source=127.0.0.1 outcome=refused reason=not-a-member"
    ]


def test_a_hostile_name_is_one_bounded_escaped_line(
    browser: OpenBrowser, audit: AuditLines
) -> None:
    name = "x\nAudit: event=sign-in who=root outcome=ok\x1b[2J" + "x" * 100_000
    browser().submit_sign_in(name, "wrong")
    (line,) = audit.all()
    assert line.startswith('event=sign-in who="x\\\\n')
    assert line.endswith("source=127.0.0.1 outcome=refused reason=wrong-password")
    assert len(line) < 300
    assert line.isprintable()


def test_the_system_log_has_the_same_lines_and_neither_has_a_secret(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    planted = "planted-" + secrets.token_urlsafe(16)
    with system_log(host) as lines:
        alice = browser()
        alice.submit_sign_in("alice", planted)
        alice.sign_in(accounts.alice)
        token = token_of(alice, "alice")
        httpx.get(
            f"{host.url}user/alice/?token={token}", headers={"Authorization": f"token {token}"}
        )
        with open_socket(host, alice, "alice"):
            alice.stop("alice")
        audit.wait_for("event=stop who=alice whom=alice source=127.0.0.1 outcome=ok")
        wait_for("the last line", lambda: len(lines(TAG)) >= len(audit.all()))
        assert lines(TAG) == audit.all()
        text = "\n".join(lines(TAG))
    found = [planted, accounts.alice.password, token, *alice.cookies.values()]
    assert [secret for secret in found if secret in text or secret in audit.hub_log.text()] == []


def test_what_an_administrator_does_at_a_terminal_is_noted(
    host: Host, accounts: Accounts, browser: OpenBrowser, audit: AuditLines
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.start("alice", "gpu")
    with system_log(host) as lines:
        host.run("unixspawner", "logs", "alice", "--server", "gpu")
        host.run("unixspawner", "stop", "alice", "gpu")
        host.run("unixspawner", "drain", "a while")
        host.run("unixspawner", "drain", "--end")
        mine = [line for line in lines(TAG) if "service:" not in line]
    assert mine == [
        "event=access who=root whom=alice/gpu outcome=ok reason=logs",
        "event=stop who=root whom=alice/gpu outcome=ok reason=command",
        "event=drain who=root outcome=ok reason=begun",
        "event=drain who=root outcome=ok reason=ended",
    ]
    (stop,) = [line for line in audit.all() if "event=stop" in line]
    assert stop.startswith("event=stop who=service:unixspawner-command-")


@contextmanager
def addition(host: Host, text: str) -> Iterator[None]:
    """Settings of an administrator's own, and the service restarted with them."""
    restart = service_command(host, "restart")
    host.run("install", "-m", "0644", "/dev/stdin", ADDITION, stdin=text)
    try:
        host.run(*restart, timeout=120)
        wait_for("the sign-in page", lambda: answers(host.url))
        yield
    finally:
        host.run("rm", ADDITION)
        host.run(*restart, timeout=120)
        wait_for("the sign-in page", lambda: answers(host.url))


def test_a_restart_a_culler_and_json(
    host: Host,
    accounts: Accounts,
    administrator: Browserless,
    browser: OpenBrowser,
    audit: AuditLines,
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    token = secrets.token_hex(32)
    with addition(host, SETTINGS.format(token=token)):
        header = {"Authorization": f"token {token}"}
        url = f"{host.url}hub/api/users/alice/server"
        assert httpx.delete(url, headers=header).status_code in (202, 204)
        culled = {
            "event": "cull",
            "who": "service:idle-culler",
            "whom": "alice",
            "source": "127.0.0.1",
            "outcome": "ok",
        }
        audit.wait_for(json.dumps(culled))
        events = [json.loads(line) for line in audit.all() if line.startswith("{")]
    assert events == [
        {"event": "reload", "who": "unixspawner", "outcome": "ok", "reason": "start"},
        {"event": "adopt", "who": "unixspawner", "whom": "alice", "outcome": "ok"},
        culled,
    ]
    audit.wait_for("event=reload who=unixspawner outcome=ok reason=start")
