"""What a documented command promises, looked at after it has run as it stands on its page.

For the tables of tests/system/test_documented_commands.py. Run by pytest as root.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from tests.system import service
from tests.system.accounts import Accounts, changed, processes
from tests.system.browserless import login_error
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, Result, wait_for
from tests.system.people import is_alive, server_of, servers_of
from tests.system.service import AUTHENTICATE, MEDIATOR, has_systemd, options

from unixspawner_admin.sudo import listed_rules

PROGRAMS = "/opt/unixspawner/current/bin"
INSTALL_DEADLINE = service.INSTALL_DEADLINE


@dataclass(frozen=True)
class Documented:
    """A command as it stands on a page, and the machine that it is for."""

    command: str
    host: Host
    accounts: Accounts
    browser: OpenBrowser

    def run(self, check: bool = True, timeout: float = INSTALL_DEADLINE) -> Result:
        """By root's shell, in the clone."""
        script = f"cd {self.host.clone} && {self.command}"
        return self.host.run("sh", "-c", script, check=check, timeout=timeout)

    def sign_in(self, name: str) -> str:
        """What the sign-in page says against it; empty when it lets the person in."""
        person = self.browser()
        account = getattr(self.accounts, name)
        return login_error(person.submit_sign_in(name, account.password))


Check = Callable[[Documented], None]


def lets_alice_in(documented: Documented) -> None:
    host, group = documented.host, options(documented.host).users_group
    host.run("gpasswd", "-d", "alice", group)
    assert "is not a member" in documented.sign_in("alice")
    documented.run()
    assert documented.sign_in("alice") == ""


def puts_alice_out(documented: Documented) -> None:
    join = ("usermod", "-aG", options(documented.host).users_group, "alice")
    with changed(documented.host, ("true",), join):
        documented.run()
        assert "is not a member" in documented.sign_in("alice")


def makes_carol_an_administrator(documented: Documented) -> None:
    group = options(documented.host).admins_group
    leave = ("gpasswd", "-d", "carol", group)
    back = ("usermod", "-aG", group, "carol")
    with changed(documented.host, leave, back):
        documented.run()
        carol = documented.browser()
        carol.sign_in_only(documented.accounts.carol)
        assert carol.go("hub/admin").status_code == 200


def says_what_it_would_do(documented: Documented) -> None:
    assert "This was a dry run: nothing was changed." in documented.run().out


def says_how_to_let_somebody_in(documented: Documented) -> None:
    said = documented.run().out
    assert f"The service answers at {options(documented.host).url}" in said
    assert f"usermod -aG {options(documented.host).users_group} NAME" in said


def changes_the_idle_time(documented: Documented) -> None:
    host = documented.host
    before = host.run("grep", "^idle_hours", service.INSTALL_TOML).out.split()[-1]
    try:
        documented.run()
        wait_for("the sign-in page", lambda: service.answers(host.url))
        hub = options(host).hub_account
        (culler,) = host.run("pgrep", "-a", "-u", hub, "-f", "unixspawner.culling").out.splitlines()
        assert f"--idle={168 * 3600} " in culler
    finally:
        service.install(host, "--idle-hours", before)


def installs_the_demo(documented: Documented) -> None:
    says_how_to_let_somebody_in(documented)
    assert documented.host.run("test", "-S", service.DEMO_SOCKET).status == 0


def knows_the_part(documented: Documented) -> None:
    """What runs at this moment is a part of it, so it cannot be run once more: it is asked."""
    program, *parts = documented.command.split()
    result = documented.host.run(
        f"{documented.host.clone}/{program}", *parts, "no-such-part", check=False
    )
    assert result.status == 2
    assert 'there is no part "no-such-part"' in result.err


def makes_a_machine_that_is_gone_afterwards(documented: Documented) -> None:
    host, name = documented.host, "unixspawner-test"
    script = f"useradd {name} && id -u {name} && touch /etc/{name} && ps -e -o pid= | wc -l; exit 7"
    tool, *words = documented.command.split()
    there = host.run(f"{host.clone}/{tool}", *words, stdin=script, check=False)
    uid, processes = there.out.split()
    assert (there.status, int(uid) // 1000) == (7, 1)
    assert int(processes) < 10
    assert host.run("getent", "passwd", name, check=False).status == 2
    assert host.run("test", "-e", f"/etc/{name}", check=False).status == 1


def knows_the_machine(documented: Documented) -> None:
    """It would start a machine, in which there may be none."""
    host, tool = documented.host, documented.command.split()[0]
    words = ("--vm", "no-such-machine") if tool == "tests/run" else ("no-such-machine", "true")
    result = host.run(f"{host.clone}/{tool}", *words, check=False)
    assert result.status == 2
    assert 'machine "no-such-machine"; there are: bookworm trixie trixie-rs' in result.err


def has_all_checks(documented: Documented) -> None:
    """They are the parts static and unit of tests/run, which need half of its time."""
    script = f"cd {documented.host.clone} && {documented.command} --dry-run"
    result = documented.host.run("sh", "-c", script)
    for tool in ("ruff check", "ruff format", "mypy", "shellcheck", "pytest"):
        assert tool in result.out


def shows_who_has_a_server(documented: Documented) -> None:
    documented.browser().sign_in(documented.accounts.alice)
    said = documented.run().out
    assert f"answers at {options(documented.host).url}" in said
    assert [line for line in said.splitlines() if line.startswith("alice ")]
    assert "1 server of 1 person, " in said


def shows_who_may_come_in(documented: Documented) -> None:
    lines = documented.run().out.splitlines()
    assert lines[0].split()[:3] == ["PERSON", "MAY", "SIGN"]
    people = [line.split()[0] for line in lines[1:] if "  yes " in line]
    assert {"alice", "bob", "carol"} <= set(people)
    assert "mallory" not in people


# What nobody can put right in a container: its clock is the host's.
CLOCK = "nothing keeps the clock right"


def finds_nothing_wrong(documented: Documented) -> None:
    lines = documented.run().out.splitlines()
    wrong = [line for line in lines[:-1] if not line.startswith(("ok ", "        "))]
    assert [line for line in wrong if CLOCK not in line] == []
    if "--quiet" not in documented.command:
        assert len(lines) > 60


def shows_what_a_server_wrote(documented: Documented) -> None:
    alice = documented.browser()
    alice.sign_in(documented.accounts.alice)
    if "--previous" in documented.command:
        alice.stop("alice")
        alice.start("alice")
    assert "Serving /user/alice/ as alice." in documented.run().out


def goes_on_with_what_is_written(documented: Documented) -> None:
    host, log = documented.host, ".local/state/unixspawner/application.gpu.notes.log"
    script = f"mkdir -p ~/{log.rpartition('/')[0]}; echo a note >> ~/{log}"
    host.as_account("alice", "sh", "-c", script)
    try:
        said = host.run("sh", "-c", f"timeout 3 {documented.command}", check=False)
        assert (said.status, said.out) == (124, "a note\n")
        wait_for("the end of the reader", lambda: processes(host, "alice") == [])
    finally:
        host.as_account("alice", "sh", "-c", f"rm ~/{log}")


def stops_what_it_says(documented: Documented) -> None:
    host, alice = documented.host, documented.browser()
    alice.sign_in(documented.accounts.alice)
    alice.start("alice", "gpu")
    command = documented.command + (" --yes" if "--all" in documented.command else "")
    host.run("sh", "-c", command)
    left = {process.environment["JUPYTERHUB_SERVER_NAME"] for process in servers_of(host, "alice")}
    assert left == ({""} if documented.command.endswith(" gpu") else set())


def lets_no_server_start(documented: Documented) -> None:
    alice = documented.browser()
    alice.sign_in_only(documented.accounts.alice)
    try:
        documented.run()
        page = alice.go("hub/home")
        assert "Restart at 18:00, back at 18:15." in page.text
    finally:
        documented.host.run("unixspawner", "drain", "--end")


def lets_servers_start_again(documented: Documented) -> None:
    documented.host.run("unixspawner", "drain")
    documented.run()
    documented.browser().sign_in(documented.accounts.alice)


def finds_the_demo(documented: Documented) -> None:
    lines = documented.run().out.splitlines()
    demo = f"ok      /etc/unixspawner/apps.d/demo.toml: Demo, at {service.DEMO_SOCKET}"
    assert lines == [demo]


def lists_three_rules(documented: Documented) -> None:
    rules = listed_rules(documented.run().out)
    assert [rule.rpartition("NOPASSWD: ")[2] for rule in rules] == [
        f"{MEDIATOR} start, {MEDIATOR} stop",
        f"{MEDIATOR} stop",
        f'{AUTHENTICATE} ""',
    ]


def restarts_and_leaves_servers_alone(documented: Documented) -> None:
    host = documented.host
    with_systemd = documented.command.startswith("systemctl")
    if with_systemd != has_systemd(host):
        pytest.skip("for machines with the other kind of PID 1")
    alice = documented.browser()
    alice.sign_in(documented.accounts.alice)
    server = server_of(host, "alice")
    documented.run()
    wait_for("the sign-in page", lambda: service.answers(host.url))
    assert is_alive(host, server)
    assert alice.fetch("GET", "user/alice/whoami").json()["name"] == "alice"


def shows_the_hubs_log(documented: Documented) -> None:
    if documented.command.startswith("journalctl") != has_systemd(documented.host):
        pytest.skip("for machines with the other kind of PID 1")
    documented.sign_in("mallory")
    wait_for("the refusal", lambda: "Sign-in refused for mallory from" in documented.run().out)


def shows_the_audit_stream(documented: Documented) -> None:
    if documented.command.startswith("journalctl") != has_systemd(documented.host):
        pytest.skip("for machines with the other kind of PID 1")
    documented.sign_in("mallory")
    line = "event=sign-in who=mallory source=127.0.0.1 outcome=refused reason=not-a-member"
    wait_for("the line", lambda: line in documented.run().out)


def shows_the_servers_log(documented: Documented) -> None:
    documented.browser().sign_in(documented.accounts.alice)
    said = documented.host.as_account("alice", "sh", "-c", documented.command).out
    assert "Serving /" in said


# The pieces by hand: each of the three commands needs the others.
DEMO_COMMAND = "python -m unixspawner_backend.demo --port 8003"
GATEWAY_COMMAND = "python -m unixspawner_singleuser --dev --apps examples/dev --port 8888"
WHO_COMMAND = 'curl -s -H "X-Forwarded-User: $(id -un)" http://127.0.0.1:8003/whoami'
_BY_HAND = f"""
cd "$1" || exit 1
PATH={PROGRAMS}:/usr/bin:/bin
{DEMO_COMMAND} 2>demo.log & demo=$!
{GATEWAY_COMMAND} 2>gateway.log & gateway=$!
trap 'kill $demo $gateway; wait' EXIT
for attempt in $(seq 200); do
  curl -sf http://127.0.0.1:8888/whoami >through && break
  sleep 0.1
done
{WHO_COMMAND} >direct
for name in through direct demo.log gateway.log; do printf '\\n== %s\\n' $name; cat $name; done
"""


def shows_the_pieces_by_hand(documented: Documented) -> None:
    assert documented.command in _BY_HAND
    host = documented.host
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    try:
        host.run("cp", "-R", f"{host.clone}/examples", folder)
        host.run("chown", "-R", "alice", folder)
        said = host.as_account("alice", "sh", "-c", _BY_HAND, "sh", folder, timeout=60).out
    finally:
        host.run("rm", "-r", folder)
    through, direct = (said.partition(f"== {name}\n")[2] for name in ("through", "direct"))
    for answer in (through, direct):
        facts = json.JSONDecoder().raw_decode(answer)[0]
        assert (facts["name"], facts["proof"]) == ("alice", "header"), said
    assert "callers are not checked" in said
    assert "nobody has to sign in" in said
