"""The sudo rules: exactly three, with both sudos' dialects, and what `sudo -l` makes of them."""

from pathlib import Path

import pytest

from unixspawner_admin import sudo
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


def test_a_fourth_rule_is_seen() -> None:
    listed = LISTED + "    (root) NOPASSWD: ALL\n"
    assert sudo.listed_rules(listed) != sudo.expected_rules(
        Options(), "jupyterhub-pam", is_rs=False
    )
