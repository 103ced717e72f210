"""Every command of README.md and docs/ is run as it stands there, on the real system.

Run by pytest as root. tests/unit/docs compares the two tables with the pages. A command that
another test runs names that test; what a command promises is looked at, not only its exit status.
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
TLS_COMMAND = (
    "./install --bind 0.0.0.0 --tls-cert /etc/ssl/lab/chain.pem --tls-key /etc/ssl/lab/key.pem"
)
NO_TLS_COMMAND = "./install --no-tls --bind 127.0.0.1"


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


def _lets_alice_in(documented: Documented) -> None:
    host, group = documented.host, options(documented.host).users_group
    host.run("gpasswd", "-d", "alice", group)
    assert "is not a member" in documented.sign_in("alice")
    documented.run()
    assert documented.sign_in("alice") == ""


def _puts_alice_out(documented: Documented) -> None:
    join = ("usermod", "-aG", options(documented.host).users_group, "alice")
    with changed(documented.host, ("true",), join):
        documented.run()
        assert "is not a member" in documented.sign_in("alice")


def _makes_carol_an_administrator(documented: Documented) -> None:
    group = options(documented.host).admins_group
    leave = ("gpasswd", "-d", "carol", group)
    back = ("usermod", "-aG", group, "carol")
    with changed(documented.host, leave, back):
        documented.run()
        carol = documented.browser()
        carol.sign_in_only(documented.accounts.carol)
        assert carol.go("hub/admin").status_code == 200


def _says_what_it_would_do(documented: Documented) -> None:
    assert "This was a dry run: nothing was changed." in documented.run().out


def _says_how_to_let_somebody_in(documented: Documented) -> None:
    said = documented.run().out
    assert f"The service answers at {options(documented.host).url}" in said
    assert f"usermod -aG {options(documented.host).users_group} NAME" in said


def _changes_the_idle_time(documented: Documented) -> None:
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


def _installs_the_demo(documented: Documented) -> None:
    _says_how_to_let_somebody_in(documented)
    assert documented.host.run("test", "-S", service.DEMO_SOCKET).status == 0


def _knows_the_part(documented: Documented) -> None:
    """What runs at this moment is a part of it, so it cannot be run once more: it is asked."""
    program, *parts = documented.command.split()
    result = documented.host.run(
        f"{documented.host.clone}/{program}", *parts, "no-such-part", check=False
    )
    assert result.status == 2
    assert 'there is no part "no-such-part"' in result.err


def _makes_a_machine_that_is_gone_afterwards(documented: Documented) -> None:
    host, name = documented.host, "unixspawner-test"
    script = f"useradd {name} && id -u {name} && touch /etc/{name} && ps -e -o pid= | wc -l; exit 7"
    tool, *words = documented.command.split()
    there = host.run(f"{host.clone}/{tool}", *words, stdin=script, check=False)
    uid, processes = there.out.split()
    assert (there.status, int(uid) // 1000) == (7, 1)
    assert int(processes) < 10
    assert host.run("getent", "passwd", name, check=False).status == 2
    assert host.run("test", "-e", f"/etc/{name}", check=False).status == 1


def _knows_the_machine(documented: Documented) -> None:
    """It would start a machine, in which there may be none."""
    host, tool = documented.host, documented.command.split()[0]
    words = ("--vm", "no-such-machine") if tool == "tests/run" else ("no-such-machine", "true")
    result = host.run(f"{host.clone}/{tool}", *words, check=False)
    assert result.status == 2
    assert 'machine "no-such-machine"; there are: bookworm trixie trixie-rs' in result.err


def _has_all_checks(documented: Documented) -> None:
    """They are the parts static and unit of tests/run, which need half of its time."""
    script = f"cd {documented.host.clone} && {documented.command} --dry-run"
    result = documented.host.run("sh", "-c", script)
    for tool in ("ruff check", "ruff format", "mypy", "shellcheck", "pytest"):
        assert tool in result.out


def _shows_who_has_a_server(documented: Documented) -> None:
    documented.browser().sign_in(documented.accounts.alice)
    said = documented.run().out
    assert f"answers at {options(documented.host).url}" in said
    assert [line for line in said.splitlines() if line.startswith("alice ")]
    assert "1 server of 1 person, " in said


def _shows_who_may_come_in(documented: Documented) -> None:
    lines = documented.run().out.splitlines()
    assert lines[0].split()[:3] == ["PERSON", "MAY", "SIGN"]
    people = [line.split()[0] for line in lines[1:] if "  yes " in line]
    assert {"alice", "bob", "carol"} <= set(people)
    assert "mallory" not in people


# What nobody can put right in a container: its clock is the host's.
CLOCK = "nothing keeps the clock right"


def _finds_nothing_wrong(documented: Documented) -> None:
    lines = documented.run().out.splitlines()
    wrong = [line for line in lines[:-1] if not line.startswith(("ok ", "        "))]
    assert [line for line in wrong if CLOCK not in line] == []
    if "--quiet" not in documented.command:
        assert len(lines) > 60


def _shows_what_a_server_wrote(documented: Documented) -> None:
    alice = documented.browser()
    alice.sign_in(documented.accounts.alice)
    if "--previous" in documented.command:
        alice.stop("alice")
        alice.start("alice")
    assert "Serving /user/alice/ as alice." in documented.run().out


def _goes_on_with_what_is_written(documented: Documented) -> None:
    host, log = documented.host, ".local/state/unixspawner/application.gpu.notes.log"
    script = f"mkdir -p ~/{log.rpartition('/')[0]}; echo a note >> ~/{log}"
    host.as_account("alice", "sh", "-c", script)
    try:
        said = host.run("sh", "-c", f"timeout 3 {documented.command}", check=False)
        assert (said.status, said.out) == (124, "a note\n")
        wait_for("the end of the reader", lambda: processes(host, "alice") == [])
    finally:
        host.as_account("alice", "sh", "-c", f"rm ~/{log}")


def _stops_what_it_says(documented: Documented) -> None:
    host, alice = documented.host, documented.browser()
    alice.sign_in(documented.accounts.alice)
    alice.start("alice", "gpu")
    command = documented.command + (" --yes" if "--all" in documented.command else "")
    host.run("sh", "-c", command)
    left = {process.environment["JUPYTERHUB_SERVER_NAME"] for process in servers_of(host, "alice")}
    assert left == ({""} if documented.command.endswith(" gpu") else set())


def _lets_no_server_start(documented: Documented) -> None:
    alice = documented.browser()
    alice.sign_in_only(documented.accounts.alice)
    try:
        documented.run()
        page = alice.go("hub/home")
        assert "Restart at 18:00, back at 18:15." in page.text
    finally:
        documented.host.run("unixspawner", "drain", "--end")


def _lets_servers_start_again(documented: Documented) -> None:
    documented.host.run("unixspawner", "drain")
    documented.run()
    documented.browser().sign_in(documented.accounts.alice)


def _finds_the_demo(documented: Documented) -> None:
    lines = documented.run().out.splitlines()
    demo = f"ok      /etc/unixspawner/apps.d/demo.toml: Demo, at {service.DEMO_SOCKET}"
    assert lines == [demo]


def _lists_three_rules(documented: Documented) -> None:
    rules = listed_rules(documented.run().out)
    assert [rule.rpartition("NOPASSWD: ")[2] for rule in rules] == [
        f"{MEDIATOR} start, {MEDIATOR} stop",
        f"{MEDIATOR} stop",
        f'{AUTHENTICATE} ""',
    ]


def _restarts_and_leaves_servers_alone(documented: Documented) -> None:
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


def _shows_the_hubs_log(documented: Documented) -> None:
    if documented.command.startswith("journalctl") != has_systemd(documented.host):
        pytest.skip("for machines with the other kind of PID 1")
    documented.sign_in("mallory")
    wait_for("the refusal", lambda: "Sign-in refused for mallory from" in documented.run().out)


def _shows_the_audit_stream(documented: Documented) -> None:
    if documented.command.startswith("journalctl") != has_systemd(documented.host):
        pytest.skip("for machines with the other kind of PID 1")
    documented.sign_in("mallory")
    line = "event=sign-in who=mallory source=127.0.0.1 outcome=refused reason=not-a-member"
    wait_for("the line", lambda: line in documented.run().out)


def _shows_the_servers_log(documented: Documented) -> None:
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


def _shows_the_pieces_by_hand(documented: Documented) -> None:
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


RUN_HERE: dict[str, Check] = {
    "usermod -aG jupyterhub-users alice": _lets_alice_in,
    "gpasswd -d alice jupyterhub-users": _puts_alice_out,
    "usermod -aG jupyterhub-admins carol": _makes_carol_an_administrator,
    "./install": _says_how_to_let_somebody_in,
    "./install --dry-run": _says_what_it_would_do,
    "./install --demo": _installs_the_demo,
    "./install --idle-hours 168": _changes_the_idle_time,
    "tests/run": _knows_the_part,
    "tests/run unit": _knows_the_part,
    "tests/run system": _knows_the_part,
    "tests/run kernel": _knows_the_part,
    "tests/run --vm": _knows_the_machine,
    "tests/run --vm bookworm tests/system/test_limits.py": _knows_the_machine,
    "tests/run --vm trixie -m promise tests/system": _knows_the_machine,
    "tests/container trixie-rs tests/run system": _knows_the_machine,
    "tests/kernel trixie /opt/unixspawner-tests/*/bin/python -m pytest --host kernel "
    "tests/system/test_survival.py": _knows_the_machine,
    "tests/machine 1 bash": _makes_a_machine_that_is_gone_afterwards,
    "make check": _has_all_checks,
    "unixspawner status": _shows_who_has_a_server,
    "unixspawner users": _shows_who_may_come_in,
    "unixspawner logs alice": _shows_what_a_server_wrote,
    "unixspawner logs alice --previous": _shows_what_a_server_wrote,
    "unixspawner logs alice --server gpu --application notes --follow": (
        _goes_on_with_what_is_written
    ),
    "unixspawner stop alice": _stops_what_it_says,
    "unixspawner stop alice gpu": _stops_what_it_says,
    "unixspawner stop --all": _stops_what_it_says,
    'unixspawner drain "Restart at 18:00, back at 18:15"': _lets_no_server_start,
    "unixspawner drain --end": _lets_servers_start_again,
    "unixspawner doctor": _finds_nothing_wrong,
    "/usr/local/libexec/unixspawner/server --check-apps --apps /etc/unixspawner/apps.d": (
        _finds_the_demo
    ),
    "unixspawner doctor --quiet": _finds_nothing_wrong,
    "sudo -l -U jupyterhub": _lists_three_rules,
    "systemctl restart unixspawner": _restarts_and_leaves_servers_alone,
    "/etc/init.d/unixspawner restart": _restarts_and_leaves_servers_alone,
    "journalctl -u unixspawner -n 50": _shows_the_hubs_log,
    "journalctl -t unixspawner-audit -n 50": _shows_the_audit_stream,
    "grep Audit: /var/log/unixspawner/hub.log": _shows_the_audit_stream,
    "tail -n 50 /var/log/unixspawner/hub.log": _shows_the_hubs_log,
    "tail -n 20 ~/.local/state/unixspawner/server.log": _shows_the_servers_log,
    "python -m unixspawner_backend.demo --port 8003": _shows_the_pieces_by_hand,
    'curl -s -H "X-Forwarded-User: $(id -un)" http://127.0.0.1:8003/whoami': (
        _shows_the_pieces_by_hand
    ),
    "python -m unixspawner_singleuser --dev --apps examples/dev --port 8888": (
        _shows_the_pieces_by_hand
    ),
}
RUN_ELSEWHERE: dict[str, str] = {
    "tests/soak/run 12": (
        "tests/system/test_soak.py::test_nothing_is_left_after_many_starts_stops_and_kills"
    ),
    "sed -i '1i session optional pam_exec.so quiet seteuid type=open_session "
    "/usr/local/libexec/unixspawner/session-limits' /etc/pam.d/sshd": (
        "tests/system/test_limits.py::test_ssh_and_web_count_together_whichever_comes_first"
    ),
    "systemctl show user-$(id -u alice).slice "
    "-p MemoryMax -p CPUQuotaPerSecUSec -p TasksMax -p IOWeight": (
        "tests/system/test_limits.py::test_people_get_the_limits_of_their_groups_and_their_own"
    ),
    "usermod -L alice": "tests/system/test_live_membership.py::test_everything_ends",
    "chage -E 0 alice": "tests/system/test_live_membership.py::test_everything_ends",
    "userdel -f alice": "tests/system/test_live_membership.py::test_everything_ends",
    "vagrant up && pytest": (
        "tests/unit/test_machines.py::test_a_virtual_machine_that_runs_is_taken_unless_another_is_named"
    ),
    "./install --bind 0.0.0.0 --tls-cert /etc/ssl/lab/chain.pem --tls-key /etc/ssl/lab/key.pem": (
        "tests/system/test_without_the_service.py::test_tls_commands_protect_passwords"
    ),
    "./install --no-tls --bind 127.0.0.1": (
        "tests/system/test_without_the_service.py::test_tls_commands_protect_passwords"
    ),
    "./install --port 8080 --base-url /lab": (
        "tests/system/test_without_the_service.py::test_another_port_and_base_url_are_an_option_away"
    ),
    "recipes/jupyterlab/install": (
        "tests/system/test_recipe_jupyterlab.py::test_kernels_terminals_and_files_are_the_persons"
    ),
    "recipes/jupyterlab/install --environment /opt/lab": (
        "tests/system/test_recipe_jupyterlab.py::test_an_environment_that_is_there_already_is_used"
    ),
    "recipes/jupyterlab/install --remove": (
        "tests/system/test_recipes.py::test_removing_takes_everything_back_but_what_the_administrator_wrote"
    ),
    "recipes/terminal/install": (
        "tests/system/test_recipes.py::test_the_terminal_runs_the_login_shell"
    ),
    "recipes/editor/install": (
        "tests/system/test_recipes.py::test_a_recipe_answers_as_the_person_and_listens_for_nobody_else"
    ),
    "recipes/streamlit/install": (
        "tests/system/test_recipes.py::test_streamlit_shows_who_is_asking_or_runs_the_persons_own_script"
    ),
    "unixspawner status --watch": (
        "tests/system/test_command.py::"
        "test_a_live_view_ends_with_control_c_and_leaves_the_terminal_as_it_was"
    ),
    "install -m 0640 -g jupyterhub /dev/null /etc/unixspawner/metrics-token": (
        "tests/system/test_metrics.py::test_nobody_gets_figures_without_the_token"
    ),
    "openssl rand -hex 32 > /etc/unixspawner/metrics-token": (
        "tests/system/test_metrics.py::test_nobody_gets_figures_without_the_token"
    ),
    "unixspawner uninstall": (
        "tests/system/test_without_the_service.py::test_uninstall_takes_back_exactly_what_was_installed"
    ),
    "unixspawner uninstall --purge": (
        # and what is left on a real machine is looked at when all tests are over: service.purge
        "tests/unit/admin/test_uninstall.py::test_purge_takes_what_we_made_and_no_more"
    ),
}


@pytest.mark.parametrize("command", RUN_HERE)
def test_a_documented_command_does_what_the_page_says(
    host: Host, accounts: Accounts, browser: OpenBrowser, command: str
) -> None:
    RUN_HERE[command](Documented(command, host, accounts, browser))
