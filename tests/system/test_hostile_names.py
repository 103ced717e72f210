"""User names that are options, numbers, paths or worse: the mediator is never started for them.

The proof is sudo's own record of what the hub's account ran.
"""

from __future__ import annotations

import pytest
from tests.system.browserless import login_error
from tests.system.database import known_users
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.logs import HubLog, SudoLog
from tests.system.troubles import WRONG

# docs/threats.md: CVE-2026-4631, CVE-2019-14287
HOSTILE = {
    "option": "-oProxyCommand=x",
    "long option": "--help",
    "uid": "#0",
    "uid -1": "#-1",
    "number": "0",
    "root": "root",
    "hub": "jupyterhub",
    "group": "%jupyterhub-users",
    "path": "../../x",
    "absolute": "/etc/passwd",
    "NUL": "alice\0root",
    "newline": "alice\nroot",
    "escape": "alice\x1b[31m",
    "shell": "$(id)",
    "markup": "<script>alert(1)</script>",
    "quote": "alice'\";--",
    "space": "alice bob",
    "case": "ALICE",
    "not ascii": "ali\u0441e",
    "right to left": "\u202ealice",
    "dot": "..",
    "empty": "",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_is_refused_in_a_sentence_and_starts_no_mediator(
    host: Host, browser: OpenBrowser, hub_log: HubLog, sudo_calls: SudoLog, name: str
) -> None:
    before = known_users(host)
    person = browser()
    answer = person.submit_sign_in(name, "x")
    assert (answer.status_code, login_error(answer)) == (403, WRONG)
    hub_log.wait_for(WRONG)
    assert sudo_calls.mediator_calls() == []
    assert known_users(host) == before
    assert person.go("hub/home").url.path.endswith("/hub/login")


# Tornado itself turns most control characters of a form into spaces; a line end it keeps.
LOGGED = {"newline": "alice\\nroot", "escape": "alice [31m", "NUL": "alice root"}


@pytest.mark.parametrize("name", LOGGED)
def test_control_characters_are_logged_as_one_escaped_record(
    browser: OpenBrowser, hub_log: HubLog, name: str
) -> None:
    browser().submit_sign_in(HOSTILE[name], "x")
    hub_log.wait_for(WRONG)
    records = [line for line in hub_log.text().splitlines() if WRONG in line]
    assert len(records) == 1
    assert f"Sign-in refused for {LOGGED[name]} from" in records[0]
    assert HOSTILE[name] not in hub_log.text()


def test_markup_in_a_name_comes_back_escaped(browser: OpenBrowser) -> None:
    answer = browser().submit_sign_in(HOSTILE["markup"], "x")
    assert "<script>alert(1)" not in answer.text


def test_a_name_of_a_megabyte_is_refused_and_hardly_logged(
    browser: OpenBrowser, hub_log: HubLog, sudo_calls: SudoLog
) -> None:
    person = browser()
    answer = person.submit_sign_in("a" * 1_000_000, "x")
    assert (answer.status_code, login_error(answer)) == (403, WRONG)
    hub_log.wait_for(WRONG)
    assert "a" * 200 not in hub_log.text()
    assert len(hub_log.text()) < 5_000
    assert sudo_calls.mediator_calls() == []


@pytest.mark.parametrize("password", ["", "x" * 2000, "a\0b"], ids=["empty", "long", "NUL"])
def test_a_password_that_cannot_be_one_is_refused(browser: OpenBrowser, password: str) -> None:
    answer = browser().submit_sign_in("alice", password)
    assert (answer.status_code, login_error(answer)) == (403, WRONG)


@pytest.mark.parametrize("path", ["hub/spawn/alice?x=$(id)", "hub/login?next=$(id)", "user/$(id)/"])
def test_a_query_never_reaches_a_shell(
    browser: OpenBrowser, sudo_calls: SudoLog, path: str
) -> None:
    page = browser().go(path)
    assert "uid=" not in page.text
    assert sudo_calls.records() == []
