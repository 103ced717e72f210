"""What Prometheus gets: our figures beside the hub's, for its token alone, without any name."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from tests.system import command, service
from tests.system.accounts import Accounts, processes
from tests.system.database import query
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.live import out_of_the_group
from tests.system.people import server_of

TOKEN_FILE = "/etc/unixspawner/metrics-token"
# As they stand in docs/administrators.md.
MAKE_FILE = "install -m 0640 -g jupyterhub /dev/null /etc/unixspawner/metrics-token"
MAKE_TOKEN = "openssl rand -hex 32 > /etc/unixspawner/metrics-token"
_SAMPLE = re.compile(r"(unixspawner_\w+)(?:\{(.*)\})? (\S+)")


@pytest.fixture(scope="module")
def token(host: Host) -> Iterator[str]:
    """Made as the page says."""
    host.run("sh", "-c", f"{MAKE_FILE} && {MAKE_TOKEN}")
    service.do(host, "restart")
    try:
        yield host.run("cat", TOKEN_FILE).out.strip()
    finally:
        host.run("rm", TOKEN_FILE)
        service.do(host, "restart")


def ask(host: Host, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(f"{host.url}hub/metrics", headers=headers)


def samples(host: Host, token: str) -> dict[tuple[str, str], float]:
    """(name, labels): value, of ours."""
    answer = ask(host, token)
    assert answer.status_code == 200
    found = map(_SAMPLE.fullmatch, answer.text.splitlines())
    return {(match[1], match[2] or ""): float(match[3]) for match in found if match}


def test_nobody_gets_figures_without_the_token(host: Host, token: str) -> None:
    assert ask(host, "").status_code == 403
    assert ask(host, "wrong-" + token).status_code == 403
    assert ask(host, token).status_code == 200


def test_the_token_is_good_for_figures_and_nothing_else(host: Host, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("users", "services", "proxy", "users/alice"):
        assert httpx.get(f"{host.url}hub/api/{path}", headers=headers).status_code in (403, 404)
    assert httpx.post(f"{host.url}hub/api/shutdown", headers=headers).status_code == 403


def test_the_hubs_own_figures_are_beside_ours(host: Host, token: str) -> None:
    text = ask(host, token).text
    for name in ("jupyterhub_running_servers", "unixspawner_running_servers"):
        assert re.search(rf"^{name} \S+$", text, re.MULTILINE), name


def test_what_happens_is_counted(
    host: Host, accounts: Accounts, browser: OpenBrowser, token: str
) -> None:
    before = samples(host, token)
    alice = browser()
    alice.sign_in(accounts.alice)
    during = samples(host, token)
    assert during["unixspawner_running_servers", ""] == 1
    for stage in ("session", "program", "total"):
        name = ("unixspawner_start_seconds_count", f'stage="{stage}"')
        assert during[name] == before[name] + 1
    total, session, program = (
        during["unixspawner_start_seconds_sum", f'stage="{stage}"']
        - before["unixspawner_start_seconds_sum", f'stage="{stage}"']
        for stage in ("total", "session", "program")
    )
    assert 0 < session < total
    assert 0 < program < total
    alice.stop("alice")
    browser().submit_sign_in("alice", "wrong")
    command.run(host, "drain", "for the test")
    alice.go("hub/spawn/alice")
    draining = samples(host, token)
    command.run(host, "drain", "--end")
    after = samples(host, token)
    assert (draining["unixspawner_draining", ""], after["unixspawner_draining", ""]) == (1, 0)
    assert after["unixspawner_running_servers", ""] == 0
    stopped = ("unixspawner_stops_total", 'outcome="stopped"')
    assert after[stopped] == before[stopped] + 1
    for labels in ('code="wrong-password",step="sign-in"', 'code="draining",step="start"'):
        name = ("unixspawner_refusals_total", labels)
        assert after[name] == before.get(name, 0) + 1


def test_who_is_put_out_is_counted_by_the_reason(
    host: Host, accounts: Accounts, browser: OpenBrowser, token: str
) -> None:
    name = ("unixspawner_revocations_total", 'reason="left-group"')
    before = samples(host, token)[name]
    browser().sign_in(accounts.alice)
    with out_of_the_group(host, accounts.alice):
        wait_for("the figure", lambda: samples(host, token)[name] > before)
        wait_for("the end", lambda: not processes(host, "alice"))
    assert samples(host, token)[name] == before + 1


def test_a_server_that_a_new_hub_finds_is_an_adoption(
    host: Host, accounts: Accounts, browser: OpenBrowser, token: str
) -> None:
    browser().sign_in(accounts.alice)
    browser().sign_in(accounts.bob)
    service.do(host, "stop")
    host.run("kill", "-KILL", str(server_of(host, "bob").pid))
    service.do(host, "start")
    found = samples(host, token)
    assert found["unixspawner_adoptions_total", 'outcome="adopted"'] == 1
    assert found["unixspawner_adoptions_total", 'outcome="ended"'] == 1
    assert found["unixspawner_running_servers", ""] == 1


def test_no_figure_has_a_persons_name(
    host: Host, accounts: Accounts, browser: OpenBrowser, token: str
) -> None:
    browser().sign_in(accounts.alice)
    browser().submit_sign_in("a-name-that-nobody-has", "x")
    text = ask(host, token).text
    assert "unixspawner_start_seconds" in text
    for name in ("alice", "a-name-that-nobody-has"):
        assert name not in text


# These leave a file that is no good, since the fixture takes it away: each start of the hub takes
# seconds. So they are the last ones.


def put(host: Host, token: str, mode: str = "0640") -> None:
    group = service.options(host).hub_account
    host.run("install", "-m", mode, "-g", group, "/dev/stdin", TOKEN_FILE, stdin=f"{token}\n")
    service.do(host, "restart")


def test_another_token_ends_the_one_before(host: Host, token: str) -> None:
    other = token[::-1]
    put(host, other)
    assert ask(host, token).status_code == 403
    assert ask(host, other).status_code == 200
    notes = query(host, "SELECT name FROM services WHERE name LIKE 'unixspawner-metrics-%'")
    assert len(notes) == 1


@pytest.mark.parametrize("mode", ["0644", "0660"])
def test_a_token_that_others_could_read_or_write_is_not_used(
    host: Host, token: str, mode: str
) -> None:
    put(host, token, mode)
    assert ask(host, token).status_code == 403
