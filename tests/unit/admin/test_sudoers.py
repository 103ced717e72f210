"""The sudo rules: exactly three, with both sudos' dialects, and what `sudo -l` makes of them."""

from pathlib import Path

import pytest

from unixspawner_admin import paths, sudo, sudo_version, system
from unixspawner_admin.checks import versions
from unixspawner_admin.options import Options
from unixspawner_admin.render import render

TEMPLATE = (Path(__file__).parents[3] / "sudoers.d/unixspawner").read_text("utf-8")
VALUES = {
    "hub_account": "jupyterhub",
    "users_group": "jupyterhub-users",
    "checking_account": "jupyterhub-pam",
    "libexec": "/usr/local/libexec/unixspawner",
}
MEDIATOR = "/usr/local/libexec/unixspawner/mediator"
RULES = [
    f"jupyterhub ALL=(%jupyterhub-users) NOPASSWD: {MEDIATOR} start, {MEDIATOR} stop",
    f"jupyterhub ALL=(ALL, !root, !#0) NOPASSWD: {MEDIATOR} stop",
    'jupyterhub ALL=(jupyterhub-pam) NOPASSWD: /usr/local/libexec/unixspawner/authenticate ""',
]

ALIASES = [f"Cmnd_Alias UNIXSPAWNER_STOP = {MEDIATOR} stop"]


def statements(is_classic: bool) -> list[str]:
    text = render(TEMPLATE, VALUES, {"classic-sudo": is_classic})
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(("is_classic", "aliases"), [(True, ALIASES), (False, [])])
def test_these_rules_and_no_others(is_classic: bool, aliases: list[str]) -> None:
    others = [line for line in statements(is_classic) if not line.startswith("Defaults")]
    assert others == [*aliases, *RULES]


def test_what_a_stop_is_spared_is_for_a_stop_alone() -> None:
    special = [line for line in statements(is_classic=True) if "unknown_id" in line]
    assert special == ["Defaults!UNIXSPAWNER_STOP !pam_session, runas_allow_unknown_id"]


def test_no_wildcard_anywhere() -> None:
    assert not [line for line in statements(is_classic=True) if set(line) & set("*?[]")]


def test_sudo_rs_gets_only_settings_that_it_knows() -> None:
    defaults = [line for line in statements(is_classic=False) if line.startswith("Defaults")]
    assert defaults == [
        "Defaults:jupyterhub env_reset, !env_keep, !env_check",
        "Defaults:jupyterhub "
        'secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"',
        "Defaults:jupyterhub !use_pty",
    ]


def test_each_statement_says_why() -> None:
    lines = render(TEMPLATE, VALUES, {"classic-sudo": True}).splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if line and not line.startswith("#") and not before.startswith("#")
    ]
    assert bare == []


LISTED = """\
Matching Defaults entries for jupyterhub on host:
    env_reset, !use_pty

User jupyterhub may run the following commands on host:
    (%jupyterhub-users) NOPASSWD: /usr/local/libexec/unixspawner/mediator
        start, /usr/local/libexec/unixspawner/mediator stop
    (ALL, !root, !#0) NOPASSWD: /usr/local/libexec/unixspawner/mediator stop
    (jupyterhub-pam) NOPASSWD: /usr/local/libexec/unixspawner/authenticate ""
"""


def test_what_sudo_lists_is_what_we_expect() -> None:
    assert sudo.listed_rules(LISTED) == sudo.expected_rules(
        Options(), "jupyterhub-pam", is_rs=False
    )


def test_a_machine_that_does_not_know_its_own_name_is_no_other_machine() -> None:
    complaint = "sudo: unable to resolve host lab: Temporary failure in name resolution\n"
    assert sudo.without_complaints(complaint + LISTED) == LISTED
    assert sudo.is_in_effect("!use_pty", sudo.without_complaints(complaint + LISTED))
    assert sudo.without_complaints(f"{complaint}Sudo version 1.9.13p3\n").startswith("Sudo")
    assert sudo.without_complaints("sudo-rs 0.2.5\n") == "sudo-rs 0.2.5\n"


def test_a_fourth_rule_is_seen() -> None:
    listed = LISTED + "    (root) NOPASSWD: ALL\n"
    assert sudo.listed_rules(listed) != sudo.expected_rules(
        Options(), "jupyterhub-pam", is_rs=False
    )


def test_the_rules_are_for_every_host() -> None:
    text = render(TEMPLATE, VALUES, {"classic-sudo": True})
    assert sudo.hosts_of_rules(text, "jupyterhub") == ["ALL"] * 3


@pytest.mark.parametrize(
    "rule",
    [
        "jupyterhub\tweb, db = (bob) /bin/true",
        "  jupyterhub !ALL=(bob) /bin/true",
        "jupyterhub \\\n otherhost=(bob) /bin/true",
    ],
)
def test_a_rule_for_another_host_is_seen(rule: str) -> None:
    text = render(TEMPLATE, VALUES, {"classic-sudo": True}) + rule + "\n"
    assert sudo.hosts_of_rules(text, "jupyterhub")[3:] not in ([], ["ALL"])


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Sudo version 1.9.13p3\nConfigure options: --x=9.9.9\n", "1.9.13p3"),
        ("Sudo version 1.9.17\n", "1.9.17"),
        ("no sudo here\n1.9.17p1", ""),
        ("", ""),
    ],
)
def test_the_version_is_the_one_that_sudo_says(said: str, version: str) -> None:
    assert sudo_version.upstream_version(said) == version


@pytest.mark.parametrize(
    ("version", "corrected"),
    [
        ("1.9.17p1", True),
        ("1.9.17p2", True),
        ("1.9.18", True),
        ("1.10.0", True),
        ("2.0.0", True),
        ("1.9.17", False),
        ("1.9.9", False),
        ("1.8.31p2", False),
        ("", False),
    ],
)
def test_upstream_corrected_both_in_one_version(version: str, corrected: bool) -> None:
    assert sudo_version.at_least(version, sudo_version.CORRECTED) is corrected


def machine(
    monkeypatch: pytest.MonkeyPatch, says: str, package: str = "", distribution: str = "debian"
) -> tuple[str, bool | None]:
    """Judges a sudo that says so, of a package of that version; dpkg compares for real."""
    real = system.try_run

    def try_run(command: list[str]) -> tuple[int, str]:
        if command == [paths.SUDO, "--version"]:
            return 0, f"Sudo version {says}\n"
        if command[0] == "dpkg-query":
            return (0, package) if package else (1, "no packages found")
        return real(command)

    monkeypatch.setattr(system, "try_run", try_run)
    monkeypatch.setattr(sudo_version, "distribution", lambda: distribution)
    return sudo_version.is_corrected()


@pytest.mark.parametrize(
    ("says", "package", "corrected"),
    [
        ("1.9.13p3", "1.9.13p3-1+deb12u1", False),
        ("1.9.13p3", "1.9.13p3-1+deb12u2", True),
        ("1.9.13p3", "1.9.13p3-1+deb12u4", True),
        ("1.9.16p2", "1.9.16p2-2", False),
        ("1.9.16p2", "1.9.16p2-3", True),
        ("1.9.16p2", "1.9.16p2-3+deb13u2", True),
        ("1.9.17p2", "1.9.17p2-1", True),
        ("1.9.15p5", "1.9.15p5-3", None),
        ("1.9.13p3", "", None),
    ],
)
def test_debian_corrected_both_under_the_old_numbers(
    monkeypatch: pytest.MonkeyPatch, says: str, package: str, corrected: bool | None
) -> None:
    assert machine(monkeypatch, says, package)[1] is corrected


def test_elsewhere_an_old_number_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine(monkeypatch, "1.9.16p2", "1.9.16p2-9ubuntu1", "ubuntu") == ("1.9.16p2", None)
    assert machine(monkeypatch, "1.9.17p1", "", "fedora") == ("1.9.17p1", True)
    assert machine(monkeypatch, "unknown", "", "fedora") == ("of an unknown version", None)


def test_what_the_doctor_says_of_it() -> None:
    levels = {answer: versions.judge_sudo("1", answer).level for answer in (True, False, None)}
    assert levels == {True: "ok", False: "failure", None: "warning"}
