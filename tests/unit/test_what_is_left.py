"""What the system tests take for left behind by somebody, and what for systemd's own."""

import pytest
from tests.system.accounts import of_people

MANAGER = "0::/user.slice/user-1001.slice/user@1001.service"
SESSION = "0::/user.slice/user-1001.slice/session-4.scope"


@pytest.mark.parametrize(
    "command",
    [
        f"{MANAGER}/init.scope /usr/lib/systemd/systemd --user",
        f"{MANAGER}/init.scope (sd-pam)",
        f"{MANAGER} (systemd)",
        f"{MANAGER}/app.slice/x.service /usr/lib/systemd/systemd-executor --deserialize 9",
        f"{MANAGER}/app.slice/dbus.service /usr/bin/dbus-daemon --session --systemd-activation",
    ],
)
def test_the_manager_of_services_is_not_left_behind(command: str) -> None:
    assert of_people(f"S 101 {command}") == []


@pytest.mark.parametrize(
    "command",
    [
        f"{SESSION} (sd-pam)",
        f"{SESSION} /usr/lib/systemd/systemd --user",
        f"{SESSION} python --systemd-activation",
        f"{MANAGER}/app.slice/run-1.scope sleep 600",
        "0::/system.slice/unixspawner.service python",
        "0::/",  # a command line that its process has cleared
    ],
)
def test_whatever_else_runs_is(command: str) -> None:
    assert of_people(f"S    101 {command}\n") == [f"S 101 {command}"]


def test_what_has_ended_and_is_not_collected_is_not() -> None:
    assert of_people(f"Zs 101 {SESSION} [python] <defunct>") == []
