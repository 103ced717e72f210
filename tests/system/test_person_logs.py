"""`unixspawner logs`: root reads what people's servers wrote, and nothing else. Run as root."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.system import command
from tests.system.accounts import Accounts, processes
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host, wait_for
from tests.system.mounts import fuse_home
from tests.system.people import server_of
from tests.system.servers import LAUNCHER, server_program

FOLDER = ".local/state/unixspawner"
LIMIT = 10 * 2**20  # of a log, as docs/administrators.md has it
# The server itself, but for its pause between two looks at the logs, which is a minute.
LOOKS_OFTEN = (
    "import runpy; from unixspawner_singleuser import log_limit; log_limit.INTERVAL = 0.5; "
    'runpy.run_module("unixspawner_singleuser", run_name="__main__", alter_sys=True)'
)


def write(host: Host, name: str, text: str, account: str = "alice") -> None:
    """A log as a program of the person writes it."""
    script = f'mkdir -p ~/{FOLDER} && cat >> ~/{FOLDER}/"$1"'
    host.as_account(account, "sh", "-c", script, "sh", name, stdin=text)


@contextmanager
def empty_folder(host: Host, home: str) -> Iterator[str]:
    """No logs at first, and none afterwards."""
    folder = f"{home}/{FOLDER}"
    host.run("rm", "-rf", folder)
    try:
        yield folder
    finally:
        host.run("rm", "-rf", folder)


@pytest.fixture
def folder(host: Host, accounts: Accounts) -> Iterator[str]:
    with empty_folder(host, accounts.alice.home) as path:
        host.as_account("alice", "mkdir", "-p", path)
        yield path


def test_logs_shows_what_a_server_wrote(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.start("alice", "lab")
    assert "Serving /user/alice/ as alice." in command.run(host, "logs", "alice").out
    said = command.run(host, "logs", "alice", "--server", "lab").out
    assert "Serving /user/alice/lab/ as alice." in said


def test_logs_of_applications_and_of_the_time_before(host: Host, folder: str) -> None:
    write(host, "server.log", "one\ntwo\nthree\n")
    write(host, "server.log.1", "before\n")
    write(host, "application.notes.log", "notes\n")
    write(host, "application.lab.notes.log", "notes of lab\n")
    assert command.run(host, "logs", "alice").out == "one\ntwo\nthree\n"
    assert command.run(host, "logs", "alice", "-n", "2").out == "two\nthree\n"
    assert command.run(host, "logs", "alice", "--previous").out == "before\n"
    of_notes = ("logs", "alice", "--application", "notes")
    assert command.run(host, *of_notes).out == "notes\n"
    assert command.run(host, *of_notes, "--server", "lab").out == "notes of lab\n"


def test_logs_harm_no_terminal(host: Host, folder: str) -> None:
    write(host, "server.log", "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \u202e\x9b caf\u00e9\r\n")
    said = command.run(host, "logs", "alice").out
    assert said == "\\x1b]0;owned\\x07\\x1b[2Jred \\u202e\\x9b caf\u00e9\n"


def refusal(host: Host, *words: str) -> str:
    began = time.monotonic()
    result = command.run(host, "logs", *words, check=False)
    assert time.monotonic() - began < 20
    assert (result.status, result.out) == (1, "")
    return result.err


def test_a_link_leads_root_nowhere(host: Host, folder: str) -> None:
    host.as_account("alice", "ln", "-s", "/etc/shadow", f"{folder}/server.log")
    assert refusal(host, "alice") == (
        f"Error: {folder}/server.log is a symbolic link: it is not followed.\n"
    )


def test_a_folder_that_is_a_link_leads_no_further_than_the_person_may_go(
    host: Host, folder: str
) -> None:
    """Above the file links are followed, as they must be: what counts is whose rights are used."""
    secret = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    host.run("sh", "-c", f"echo secret > {secret}/server.log")
    try:
        host.run("rmdir", folder)
        host.as_account("alice", "ln", "-s", secret, folder)
        error = refusal(host, "alice")
        assert error == f"Error: alice cannot read {folder}/server.log: Permission denied.\n"
    finally:
        host.run("rm", "-r", secret)


def test_a_hard_link_gives_no_more_than_the_person_could_read(host: Host, folder: str) -> None:
    host.run("sh", "-c", f"echo secret > {folder}/server.log; chmod 600 {folder}/server.log")
    assert "Permission denied" in refusal(host, "alice")


@pytest.mark.parametrize("what", [("mkfifo",), ("mkdir",)], ids=["pipe", "directory"])
def test_what_is_no_file_is_not_read(host: Host, folder: str, what: tuple[str, ...]) -> None:
    host.as_account("alice", *what, f"{folder}/server.log")
    assert refusal(host, "alice") == (
        f"Error: {folder}/server.log is not a regular file: it is not read.\n"
    )


def test_a_home_that_hangs_gives_a_sentence(host: Host, accounts: Accounts) -> None:
    home = accounts.alice.home
    with fuse_home(host, accounts.alice, "hangs"):
        assert refusal(host, "alice") == (
            "Error: The home directory of alice does not answer within 10 seconds: look at the "
            f"file server behind {home}/{FOLDER}.\n"
        )


def test_where_there_is_none_what_there_is_is_told(host: Host, folder: str) -> None:
    assert refusal(host, "alice").endswith(
        "alice has no logs: no server was ever started, or the home directory is full.\n"
    )
    write(host, "server.lab.log", "")
    assert refusal(host, "alice") == (
        f"Error: There is no {folder}/server.log. There are, in {folder}: server.lab.log.\n"
    )
    assert "There is no account nobody-of-that-name" in refusal(host, "nobody-of-that-name")
    assert refusal(host, "root") == "Error: root has no server here.\n"


def test_a_log_of_any_size_is_read_from_its_end(host: Host, folder: str) -> None:
    host.as_account("alice", "sh", "-c", f"truncate -s 3G {folder}/server.log")
    write(host, "server.log", "\nthe end\n")
    assert command.run(host, "logs", "alice", "-n", "1").out == "the end\n"


def write_at_once(host: Host, name: str, text: str) -> None:
    """Nobody shortens the log until all of it is there: the lock is the one that a server takes."""
    script = f'cd ~/{FOLDER} && exec flock "$1" sh -c \'exec cat >> "$0"\' "$1"'
    host.as_account("alice", "sh", "-c", script, "sh", name, stdin=text)


def size_of(host: Host, path: str) -> int:
    return int(host.run("stat", "-c", "%s", path).out)


@pytest.fixture
def looking_often(host: Host) -> Iterator[None]:
    launcher = host.run("cat", LAUNCHER).out
    with server_program(host, launcher.replace("-m unixspawner_singleuser", f"-c '{LOOKS_OFTEN}'")):
        yield


def test_a_log_that_grew_long_is_emptied_while_its_server_writes(
    host: Host, accounts: Accounts, browser: OpenBrowser, folder: str, looking_often: None
) -> None:
    browser().sign_in(accounts.alice)
    logs = {name: f"{folder}/{name}" for name in ("application.notes.log", "server.log")}
    number = host.run("stat", "-c", "%i", logs["server.log"]).out
    for name in logs:
        text = ("x" * 99 + "\n") * (12 * 2**20 // 100) + f"the end of {name}\n"
        write_at_once(host, name, text)
    for path in logs.values():
        wait_for(f"{path} to be short", lambda path=path: size_of(host, path) < 1000)  # type: ignore[misc]
        assert size_of(host, f"{path}.1") == LIMIT
    words = ("logs", "alice", "--previous", "-n", "2")  # the server may have added a line
    assert "the end of server.log\n" in command.run(host, *words).out
    of_notes = command.run(host, *words, "--application", "notes").out
    assert of_notes.endswith("\nthe end of application.notes.log\n")
    said = "server.log had 125"  # the server's own word, at the beginning of what it emptied
    wait_for(said, lambda: said in command.run(host, "logs", "alice").out)
    assert host.run("stat", "-c", "%i", logs["server.log"]).out == number
    assert server_of(host, "alice").output[1] == logs["server.log"]


def test_follow_goes_on_over_emptying_and_replacing(host: Host, folder: str) -> None:
    write(host, "server.log", "first\n")
    log = f"{folder}/server.log"
    steps = [
        "unixspawner logs alice --follow > $1 2>&1 & follower=$!",
        "await() { for i in $(seq 300); do grep -q $1 $out && return; sleep 0.05; done; exit 9; }",
        "out=$1",
        f"await first; echo second >> {log}; await second",
        f": > {log}; echo third >> {log}; await third",
        f"mv {log} {log}.1; echo fourth > {log}; chown alice {log}; await fourth",
        "kill $follower; wait $follower; :",
    ]
    out = host.run("mktemp", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    try:
        host.run("bash", "-m", "-c", "\n".join(steps), "bash", out)
        assert host.run("cat", out).out == "first\nsecond\nthird\nfourth\n"
        wait_for("the end of what read for root", lambda: processes(host, "alice") == [])
    finally:
        host.run("rm", out)
