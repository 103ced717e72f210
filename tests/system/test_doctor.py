"""The doctor where something is wrong: each thing is broken for real, and its line is read.

Run by pytest as root. Where the cure can be run as it stands it is, and the line is read once more.
"""

from __future__ import annotations

import shlex
from contextlib import ExitStack

import pytest
from tests.system import command, service
from tests.system.accounts import Accounts, changed
from tests.system.ailments import AILMENTS, Ailment
from tests.system.command import Finding
from tests.system.host import Host
from tests.system.service import MEDIATOR


def fits(pattern: str, text: str) -> bool:
    """Whether a text is the pattern's, in which … stands for anything."""
    begin, _, end = pattern.partition("…")
    return text.startswith(begin) and text.endswith(end) if "…" in pattern else text == pattern


def expected_cure(host: Host, cure: str) -> str:
    """What depends on the machine: where the clone is, and whether it has systemd."""
    install = f"{host.clone}/install"
    script = "/etc/init.d/unixspawner restart"
    log = "/var/log/unixspawner/hub.log"
    restart = "systemctl restart unixspawner" if service.has_systemd(host) else script
    return {
        "INSTALL": shlex.quote(install),
        "SUDO": f"grep -rn jupyterhub /etc/sudoers /etc/sudoers.d; {shlex.quote(install)}",
        "RESTART": restart,
        "PORT": f"ss -ltnp 'sport = :{service.options(host).port}'   # end it, then {restart}",
        "LOG": "journalctl -u unixspawner -n 50"
        if service.has_systemd(host)
        else f"tail -n 50 {log}",
    }.get(cure, cure)


def lines_with(host: Host, pattern: str) -> list[Finding]:
    return [each for each in command.findings(host) if fits(pattern, each.text)]


@pytest.mark.parametrize("ailment", AILMENTS, ids=[ailment.name for ailment in AILMENTS])
def test_what_is_broken_is_found_with_its_cure(
    host: Host, accounts: Accounts, ailment: Ailment
) -> None:
    chosen = service.options(host)
    text = ailment.text.format(url=chosen.url, port=chosen.port)
    with ExitStack() as stack:
        stack.enter_context(ailment.harm(host))
        status, every = command.examination(host)
        told = "\n".join(each.text for each in every if each.level != "ok")
        found = [each for each in every if fits(text, each.text)]
        assert found != [], told
        assert (found[0].level, found[0].cure) == (ailment.level, expected_cure(host, ailment.cure))
        assert status == int(any(each.level == "failure" for each in every)), told
        if ailment.cured:
            host.run("sh", "-c", found[0].cure, timeout=180)
            assert lines_with(host, text) == []
    assert lines_with(host, text) == []


def test_on_a_machine_that_is_well_nothing_is_wrong(host: Host, accounts: Accounts) -> None:
    """A container has nobody who keeps its clock: that alone may be said here."""
    found = [each for each in command.findings(host) if each.level != "ok"]
    assert [each for each in found if "keeps the clock right" not in each.text] == []
    assert command.run(host, "doctor").out.splitlines()[-1].startswith(("All is well", "0 fail"))


def test_the_lines_fit_a_terminal_and_their_colour_is_said_in_words(
    host: Host, accounts: Accounts
) -> None:
    with changed(host, ("chmod", "0777", MEDIATOR), ("chmod", "0755", MEDIATOR)):
        shown = command.at_terminal(host, "unixspawner doctor", columns=60)
        raw = host.run(
            *("script", "-qec", "unixspawner doctor --quiet", "/dev/null"), check=False
        ).out
        plain = command.run(host, "doctor", "--quiet", check=False)
    assert [line for line in shown if len(line) > 60 and "cure: " not in line] == []
    assert "\x1b[31mfailure \x1b[0m" in raw
    assert "\x1b" not in plain.out
    assert f"failure {MEDIATOR} is a file of root with mode 0777" in plain.out
    assert plain.status == 1
