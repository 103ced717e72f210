"""Whom we serve, and which variables reach a server."""

import pytest

from unixspawner_mediator import policy
from unixspawner_mediator.config import Config
from unixspawner_mediator.errors import Refusal
from unixspawner_mediator.policy import Account

CONFIG = Config("jupyterhub", "jupyterhub-users", ["/opt/python"], environment=["MEM_LIMIT"])
ALICE = Account(
    "alice", 1001, 1001, "/home/alice", "/bin/bash", frozenset({"alice", "jupyterhub-users"})
)
SHELLS = frozenset({"/bin/bash", "/usr/sbin/nologin"})

HOSTILE = [
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP"),
    *("BASH_ENV", "ENV", "PATH", "HOME", "SHELL", "USER", "LOGNAME", "IFS", "PS4", "SHELLOPTS"),
    *("PERL5LIB", "RUBYLIB", "NODE_OPTIONS", "GCONV_PATH", "NLSPATH", "TMPDIR", "EDITOR"),
    *("UNIXSPAWNER_SERVER_ID", "SUDO_UID", "http_proxy", "SSL_CERT_FILE", "jupyterhub_user"),
    "XJUPYTERHUB_USER",
]


def test_a_member_with_a_shell_may_use_the_service() -> None:
    policy.require_may_use(CONFIG, ALICE, SHELLS)


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (ALICE._replace(uid=0), "system-account"),
        (ALICE._replace(uid=999), "system-account"),
        (ALICE._replace(shell="/usr/sbin/nologin"), "no-shell"),
        (ALICE._replace(shell="/bin/false"), "no-shell"),
        (ALICE._replace(shell=""), "no-shell"),
        (ALICE._replace(shell="/tmp/sh"), "no-shell"),
        (ALICE._replace(groups=frozenset({"alice"})), "not-a-member"),
        (ALICE._replace(groups=frozenset({"jupyterhub-users2"})), "not-a-member"),
    ],
)
def test_others_may_not_and_read_one_sentence(account: Account, code: str) -> None:
    with pytest.raises(Refusal) as caught:
        policy.require_may_use(CONFIG, account, SHELLS)
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith((".", ": ask your administrator."))


def test_the_lowest_uid_served_is_min_uid_itself() -> None:
    policy.require_person(CONFIG, "alice", 1000)


@pytest.mark.parametrize("caller", [None, "root", "alice", "jupyterhub2", ""])
def test_only_the_hub_may_ask(caller: str | None) -> None:
    policy.require_caller(CONFIG, "jupyterhub")
    with pytest.raises(Refusal):
        policy.require_caller(CONFIG, caller)


@pytest.mark.parametrize("name", ["bob", "Alice", "alice2", ""])
def test_the_account_must_be_the_one_that_was_asked_for(name: str) -> None:
    policy.require_same_account(ALICE, "alice")
    with pytest.raises(Refusal):
        policy.require_same_account(ALICE, name)


def test_only_named_variables_and_the_hubs_own_are_taken() -> None:
    wanted = dict.fromkeys(HOSTILE, "x") | {"JUPYTERHUB_API_TOKEN": "t", "MEM_LIMIT": "1"}
    taken, ignored = policy.choose_environment(CONFIG, wanted)
    assert taken == {"JUPYTERHUB_API_TOKEN": "t", "MEM_LIMIT": "1"}
    assert ignored == sorted(HOSTILE)


def test_the_account_decides_what_a_login_sets() -> None:
    session = {"SUDO_UID": "1", "UNIXSPAWNER_SERVER_ID": "old", "HOME": "/", "KRB5CCNAME": "cc"}
    assert policy.server_environment(CONFIG, ALICE, session, "new") == {
        "HOME": "/home/alice",
        "USER": "alice",
        "LOGNAME": "alice",
        "SHELL": "/bin/bash",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "UNIXSPAWNER_SERVER_ID": "new",
        "KRB5CCNAME": "cc",
    }
