"""Every command of README.md and docs/ is run as it stands there, on the real system.

Run by pytest as root. tests/unit/docs compares the two tables with the pages. A command that
another test runs names that test; what a command promises is looked at, not only its exit status.
"""

from __future__ import annotations

import pytest
from tests.system import documented
from tests.system.accounts import Accounts
from tests.system.documented import Check, Documented
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host

TLS_COMMAND = (
    "./install --bind 0.0.0.0 --tls-cert /etc/ssl/lab/chain.pem --tls-key /etc/ssl/lab/key.pem"
)
NO_TLS_COMMAND = "./install --no-tls --bind 127.0.0.1"

RUN_HERE: dict[str, Check] = {
    "usermod -aG jupyterhub-users alice": documented.lets_alice_in,
    "gpasswd -d alice jupyterhub-users": documented.puts_alice_out,
    "usermod -aG jupyterhub-admins carol": documented.makes_carol_an_administrator,
    "./install": documented.says_how_to_let_somebody_in,
    "./install --dry-run": documented.says_what_it_would_do,
    "./install --demo": documented.installs_the_demo,
    "./install --idle-hours 168": documented.changes_the_idle_time,
    "tests/run": documented.knows_the_part,
    "tests/run unit": documented.knows_the_part,
    "tests/run system": documented.knows_the_part,
    "tests/run kernel": documented.knows_the_part,
    "tests/run --vm": documented.knows_the_machine,
    "tests/run --vm bookworm tests/system/test_limits.py": documented.knows_the_machine,
    "tests/run --vm trixie -m promise tests/system": documented.knows_the_machine,
    "tests/container trixie-rs tests/run system": documented.knows_the_machine,
    "tests/kernel trixie /opt/unixspawner-tests/*/bin/python -m pytest --host kernel "
    "tests/system/test_survival.py": documented.knows_the_machine,
    "tests/machine 1 bash": documented.makes_a_machine_that_is_gone_afterwards,
    "make check": documented.has_all_checks,
    "unixspawner status": documented.shows_who_has_a_server,
    "unixspawner users": documented.shows_who_may_come_in,
    "unixspawner logs alice": documented.shows_what_a_server_wrote,
    "unixspawner logs alice --previous": documented.shows_what_a_server_wrote,
    "unixspawner logs alice --server gpu --application notes --follow": (
        documented.goes_on_with_what_is_written
    ),
    "unixspawner stop alice": documented.stops_what_it_says,
    "unixspawner stop alice gpu": documented.stops_what_it_says,
    "unixspawner stop --all": documented.stops_what_it_says,
    'unixspawner drain "Restart at 18:00, back at 18:15"': documented.lets_no_server_start,
    "unixspawner drain --end": documented.lets_servers_start_again,
    "unixspawner doctor": documented.finds_nothing_wrong,
    "/usr/local/libexec/unixspawner/server --check-apps --apps /etc/unixspawner/apps.d": (
        documented.finds_the_demo
    ),
    "unixspawner doctor --quiet": documented.finds_nothing_wrong,
    "sudo -l -U jupyterhub": documented.lists_three_rules,
    "systemctl restart unixspawner": documented.restarts_and_leaves_servers_alone,
    "/etc/init.d/unixspawner restart": documented.restarts_and_leaves_servers_alone,
    "journalctl -u unixspawner -n 50": documented.shows_the_hubs_log,
    "journalctl -t unixspawner-audit -n 50": documented.shows_the_audit_stream,
    "grep Audit: /var/log/unixspawner/hub.log": documented.shows_the_audit_stream,
    "tail -n 50 /var/log/unixspawner/hub.log": documented.shows_the_hubs_log,
    "tail -n 20 ~/.local/state/unixspawner/server.log": documented.shows_the_servers_log,
    "python -m unixspawner_backend.demo --port 8003": documented.shows_the_pieces_by_hand,
    'curl -s -H "X-Forwarded-User: $(id -un)" http://127.0.0.1:8003/whoami': (
        documented.shows_the_pieces_by_hand
    ),
    "python -m unixspawner_singleuser --dev --apps examples/dev --port 8888": (
        documented.shows_the_pieces_by_hand
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
