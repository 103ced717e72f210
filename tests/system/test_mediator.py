"""The mediator over real sudo, as a broken-in hub would talk to it: refused, or harmless.

The pure parts are in tests/unit and tests/contract; these messages travel the whole way.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest
from tests.system.accounts import Accounts, changed, processes
from tests.system.as_hub import (
    Order,
    Outcome,
    ask_examine,
    ask_start,
    ask_stop,
    authenticate,
    do,
    mediator,
)
from tests.system.as_hub import message as request
from tests.system.fixtures import OpenBrowser
from tests.system.host import DEADLINE, Host, wait_for
from tests.system.logs import is_sudo_rs
from tests.system.people import (
    MARKER,
    Process,
    boot_id,
    is_alive,
    processes_of,
    server_of,
    servers_of,
)
from tests.system.service import MEDIATOR_TOML

GOOD = request("start")


def with_twice(data: bytes, key: str) -> bytes:
    return data[:-1] + f', "{key}": {json.dumps(json.loads(data)[key])}}}'.encode()


MALFORMED: dict[str, bytes] = {
    "not JSON": b"start",
    "not UTF-8": GOOD.replace(b"alice", b"\xff\xfe"),
    "a list": b"[]",
    "a number": b"1",
    "nested deeply": b"[" * 60_000,
    "objects nested deeply": b'{"a":' * 12_000,
    "oversized": request("start", environment={"JUPYTERHUB_X": "x" * 65_536}),
    "a key twice": with_twice(GOOD, "user"),
    "a field too many": request("start", command="/bin/sh"),
    "a version too new": request("start", version=2),
    "a version that is true": request("start", version=True),
    "another verb": request("stop"),
    "an unknown verb": request("start", verb="restart"),
    "a verb that is a list": request("start", verb=["start"]),
    "a name that is a number": request("start", user=1000),
    "a server id that is no hexadecimal": request("start", server_id="../" * 10 + "xx"),
    "a server name with a line end": request("start", server_name="a\nb"),
    "an environment that is a list": request("start", environment=[]),
    "an environment value that is a number": request("start", environment={"JUPYTERHUB_X": 1}),
    "an environment name with a sign": request("start", environment={"JUPYTERHUB_X=Y": "1"}),
    "an environment value with a NUL": request("start", environment={"JUPYTERHUB_X": "a\0b"}),
    "half a surrogate": GOOD.replace(b'"server_name": ""', rb'"server_name": "\ud800"'),
    "NaN": GOOD.replace(b"1", b"NaN", 1),
    "trailing data": GOOD + GOOD,
}
DESCRIPTORS: dict[str, tuple[str, ...]] = {
    "none": (),
    "one": ("listener",),
    "three": ("listener", "status", "file"),
    "a hundred": ("status",) * 100,
    "swapped": ("status", "listener"),
    "a connected socket": ("connected", "status"),
    "a file": ("file", "status"),
    "a file for the status": ("listener", "file"),
    "the reading end": ("listener", "status-reader"),
}


def assert_refused(outcome: Outcome, code: str) -> None:
    answer = outcome.answer()
    assert (answer["kind"], answer["code"]) == ("refused", code), outcome
    assert outcome.status == 1
    assert outcome.out == ""


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_message_that_is_not_exactly_right_is_refused(
    host: Host, accounts: Accounts, data: bytes
) -> None:
    assert_refused(ask_start(host, data), "bad-request")
    assert processes(host, "alice") == []


def test_a_field_that_is_missing_is_refused(host: Host, accounts: Accounts) -> None:
    for name in json.loads(GOOD):
        fields = {key: value for key, value in json.loads(GOOD).items() if key != name}
        assert_refused(ask_start(host, json.dumps(fields).encode()), "bad-request")


def test_an_empty_message_is_refused(host: Host, accounts: Accounts) -> None:
    outcome = do(host, Order(mediator("stop", "alice"), ()))
    assert outcome.status == 1
    assert processes(host, "alice") == []


@pytest.mark.parametrize("descriptors", DESCRIPTORS.values(), ids=DESCRIPTORS.keys())
def test_other_descriptors_than_the_two_are_refused(
    host: Host, accounts: Accounts, descriptors: tuple[str, ...]
) -> None:
    outcome = ask_start(host, GOOD, descriptors=descriptors)
    assert_refused(outcome, "bad-request")
    assert processes(host, "alice") == []


def test_descriptors_with_a_stop_are_refused(host: Host, accounts: Accounts) -> None:
    order = Order(mediator("stop", "alice"), (request("stop"),), ("listener",))
    assert_refused(do(host, order), "bad-request")


def test_a_request_for_another_account_than_sudos_is_refused(
    host: Host, accounts: Accounts
) -> None:
    assert_refused(ask_start(host, request("start", "bob"), user="alice"), "wrong-account")
    stop = request("stop", "bob", uid=accounts.bob.uid)
    assert_refused(ask_stop(host, stop, user="alice"), "wrong-account")


def test_authenticate_tries_no_system_accounts_password(host: Host, accounts: Accounts) -> None:
    for name in ("root", "jupyterhub", "daemon"):
        outcome = do(host, Order(authenticate(host), (request("authenticate", name),)))
        assert_refused(outcome, "wrong-password")


def test_authenticate_tells_a_word_about_people_and_nothing_about_others(
    host: Host, accounts: Accounts
) -> None:
    asked = ("alice", "bob", "mallory", "root", "jupyterhub-pam", "nobody-of-that-name")
    with (
        changed(host, ("usermod", "-L", "bob"), ("usermod", "-U", "bob")),
        changed(host, ("chage", "-E", "1", "mallory"), ("chage", "-E", "-1", "mallory")),
    ):
        outcome = ask_examine(host, *asked)
    assert outcome.answer() == {
        "version": 1,
        "kind": "examined",
        "verdicts": {
            "alice": "open",
            "bob": "locked",
            "mallory": "expired",
            "root": "unknown",
            "jupyterhub-pam": "unknown",
            "nobody-of-that-name": "unknown",
        },
    }
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


@pytest.mark.parametrize("password", ["*", "!", "!*", "!!"])
def test_an_account_that_never_had_a_password_here_is_not_locked(
    host: Host, accounts: Accounts, password: str
) -> None:
    """It signs in with a key or a ticket."""
    shadow = host.run("getent", "shadow", "bob").out.split(":")[1]
    set_to = ("usermod", "-p", password, "bob")
    with changed(host, set_to, ("usermod", "-p", shadow, "bob")):
        assert ask_examine(host, "bob").answer()["verdicts"] == {"bob": "open"}


# What the hub wants in the environment

HOSTILE_NAMES = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_DEBUG_OUTPUT", "GCONV_PATH", "LOCPATH"),
    *("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONUSERBASE"),
    *("PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "PYTHONWARNINGS", "PYTHONPYCACHEPREFIX"),
    *(
        "BASH_ENV",
        "ENV",
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "MAIL",
        "IFS",
        "PS4",
        "CDPATH",
    ),
    *("TMPDIR", "TZ", "LANG", "LC_ALL", "TERM", "TERMINFO", "DISPLAY", "XAUTHORITY", "EDITOR"),
    *("NODE_OPTIONS", "NODE_PATH", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT", "GIT_SSH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "OPENSSL_CONF", "KRB5_CONFIG"),
    *("SSH_AUTH_SOCK", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "HTTP_PROXY", "http_proxy"),
    *("SUDO_UID", "SUDO_USER", "SUDO_COMMAND", "SUDO_GID", "UNIXSPAWNER_SERVER_ID"),
    *("UNIXSPAWNER_ANYTHING", "JUPYTERHUB", "jupyterhub_x", "JUPYTER_CONFIG_DIR", "UVICORN_FD"),
    *(f"HOSTILE_{number}" for number in range(140)),
)
VALUE = "hostile-" + secrets.token_hex(8)


def test_hostile_variables_of_the_hub_never_reach_the_server(
    host: Host, accounts: Accounts
) -> None:
    assert len(set(HOSTILE_NAMES)) >= 200
    server_id = secrets.token_hex(16)
    wanted = dict.fromkeys(HOSTILE_NAMES, VALUE) | {"JUPYTERHUB_WANTED": "yes"}
    data = request("start", server_id=server_id, environment=wanted)
    inherited = {name: VALUE for name in HOSTILE_NAMES if not name.startswith(("LD_", "GCONV"))}
    outcome = ask_start(host, data, environment=inherited)
    answer = outcome.answer()
    assert answer["kind"] == "starting", outcome
    assert outcome.status_ended
    process = next((p for p in processes_of(host, "alice") if p.pid == answer["pid"]), None)
    try:
        assert process is not None, "the server ended before it could be looked at"
        assert answer["ignored_environment"] == sorted(HOSTILE_NAMES)
        assert VALUE not in json.dumps(process.environment)
        assert process.environment["JUPYTERHUB_WANTED"] == "yes"
        assert process.environment["HOME"] == accounts.alice.home
        assert process.environment["SHELL"] == "/bin/bash"
        assert process.environment["UNIXSPAWNER_SERVER_ID"] == server_id
        assert not [name for name in process.environment if name.startswith("SUDO_")]
    finally:
        fields = {key: answer[key] for key in ("pid", "start_time", "boot_id")}
        ask_stop(host, request("stop", server_id=server_id, **fields))
        wait_for("the end of alice's processes", lambda: processes(host, "alice") == [])


def test_the_program_is_not_the_hubs_to_choose(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    configured = host.run("grep", "^command", MEDIATOR_TOML).out
    command = server_of(host, "alice").command
    assert "-I" in command
    assert "unixspawner_singleuser" in command
    assert "command" in configured
    assert not [word for word in command if "JUPYTERHUB" in word]


# What may be stopped


def stop_fields(host: Host, pid: int, start_time: int) -> dict[str, object]:
    return {"pid": pid, "start_time": start_time, "boot_id": boot_id(host)}


def begin(host: Host, name: str, server_id: str = "") -> Process:
    """A process of a person's own, which no server started; with a server's marker if wanted."""
    script = "exec setsid sleep 300 >/dev/null 2>&1 </dev/null &"
    marker = ("env", f"{MARKER}={server_id}") if server_id else ("env",)
    host.as_account(name, *marker, "sh", "-c", script)

    def find() -> Process | None:
        return next((p for p in processes_of(host, name) if p.command == ["sleep", "300"]), None)

    return wait_for(f"{name}'s process", find)


def end(host: Host, process: Process) -> None:
    """Until it is forgotten: usermod counts what only waits for that, too."""
    host.run("kill", "-KILL", str(process.pid))
    exists = ("test", "-e", f"/proc/{process.pid}")
    wait_for("its end", lambda: host.run(*exists, check=False).status == 1)


@pytest.fixture
def own_process(host: Host, accounts: Accounts) -> Iterator[Process]:
    process = begin(host, "alice")
    yield process
    end(host, process)


def test_anothers_process_is_not_stopped(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.bob)
    victim = server_of(host, "bob")
    fields = stop_fields(host, victim.pid, victim.start_time)
    outcome = ask_stop(host, request("stop", server_id=victim.server_id, **fields))
    assert_refused(outcome, "not-yours")
    assert is_alive(host, victim)


def test_init_is_not_stopped(host: Host, accounts: Accounts) -> None:
    assert_refused(ask_stop(host, request("stop", **stop_fields(host, 1, 1))), "not-yours")


def test_a_process_that_no_server_started_is_not_stopped(host: Host, own_process: Process) -> None:
    fields = stop_fields(host, own_process.pid, own_process.start_time)
    assert_refused(ask_stop(host, request("stop", **fields)), "not-ours")
    assert is_alive(host, own_process)


def test_a_number_that_belongs_to_another_process_by_now_is_not_stopped(
    host: Host, own_process: Process
) -> None:
    fields = stop_fields(host, own_process.pid, own_process.start_time - 1)
    assert ask_stop(host, request("stop", **fields)).answer()["signalled"] == 0
    assert is_alive(host, own_process)


def test_a_number_without_a_name_can_be_asked_to_stop_and_nothing_else(host: Host) -> None:
    if is_sudo_rs(host):
        pytest.skip("sudo-rs acts for no number without a name")
    number = 4_242_424
    run = ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups", "--")
    script = "exec setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $!"
    pid = int(host.run(*run, "sh", "-c", script).out)
    start_time = int(host.run("cut", "-d", " ", "-f", "22", f"/proc/{pid}/stat").out)
    try:
        nothing = request("stop", uid=number)
        assert ask_stop(host, nothing, f"#{number}").answer()["signalled"] == 0
        theirs = request("stop", uid=number, **stop_fields(host, pid, start_time))
        assert_refused(ask_stop(host, theirs, f"#{number}"), "not-ours")
        another = request("stop", uid=number + 1)
        assert_refused(ask_stop(host, another, f"#{number}"), "wrong-account")
        assert_refused(ask_stop(host, request("stop"), "#998"), "system-account")
        assert host.run("kill", "-0", str(pid), check=False).status == 0
    finally:
        host.run("kill", "-KILL", str(pid))


def test_a_server_of_another_boot_is_not_stopped(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    server = server_of(host, "alice")
    fields = {"pid": server.pid, "start_time": server.start_time}
    outcome = ask_stop(host, request("stop", server_id=server.server_id, **fields))
    assert outcome.answer()["signalled"] == 0
    assert is_alive(host, server)


def test_anothers_process_with_the_same_marker_is_not_stopped(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    server = server_of(host, "alice")
    impostor = begin(host, "bob", server.server_id)
    fields = stop_fields(host, server.pid, server.start_time)
    outcome = ask_stop(host, request("stop", server_id=server.server_id, **fields))
    assert outcome.answer()["signalled"] == 1
    assert is_alive(host, impostor)
    end(host, impostor)


def test_a_stop_ends_everything_that_the_server_started(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    """A child that left session and parent, and ignores TERM, goes with the server."""
    alice = browser()
    alice.sign_in(accounts.alice)
    server = server_of(host, "alice")
    script = "trap '' TERM; exec setsid sleep 300 >/dev/null 2>&1 </dev/null &"
    host.as_account("alice", "env", f"{MARKER}={server.server_id}", "sh", "-c", script)
    wait_for("two processes", lambda: len(servers_of(host, "alice")) == 2)
    alice.stop("alice")
    wait_for("the end of all", lambda: processes(host, "alice") == [], deadline=DEADLINE)
