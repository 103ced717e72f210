"""The hub's side of the channel against another side that does not keep the rules."""

import asyncio
import os
import pathlib
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from unixspawner import client, sockets, waiting
from unixspawner.client import AskError
from unixspawner_mediator.protocol import (
    AuthenticateRequest,
    Examined,
    ExamineRequest,
    ProcessIdentity,
    StartRequest,
    Stopped,
    StopRequest,
)

OTHER_SIDE = str(pathlib.Path(__file__).with_name("other_side.py"))
START = StartRequest("alice", "", "a" * 32, {"JUPYTERHUB_API_TOKEN": "secret-token"})
IDENTITY = ProcessIdentity(1, 1, "3f1b8a52-0c4d-4a8e-9a51-1d2c3b4a5968")
STOP = StopRequest("alice", 1001, "", "a" * 32, IDENTITY)
ASKED = ExamineRequest(["alice", "bob"])
LOGIN = AuthenticateRequest("alice", "secret-password")


def command(behaviour: str) -> list[str]:
    return [sys.executable, OTHER_SIDE, behaviour]


@pytest.fixture
def listener(tmp_path: pathlib.Path) -> Iterator[socket.socket]:
    with sockets.listen(sockets.fresh_path(str(tmp_path))) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_descriptor_is_left_open() -> Iterator[None]:
    before = sorted(os.listdir("/proc/self/fd"))
    yield
    assert sorted(os.listdir("/proc/self/fd")) == before


async def start(behaviour: str, listener: socket.socket) -> client.Launch:
    launch = await client.request_start(command(behaviour), START, listener)
    launch.sudo.wait()
    return launch


async def test_a_start_is_reported_once_the_program_runs(listener: socket.socket) -> None:
    launch = await start("starts", listener)
    assert launch.report.process.pid == launch.sudo.pid


@pytest.mark.parametrize(
    ("behaviour", "code", "said"),
    [
        ("refuses", "no-shell", "No shell."),
        ("cannot-exec", "no-shell", "No shell."),
        ("faults", "internal-error", "Internal error"),
        ("garbage", "bad-reply", "Internal error"),
        ("floods", "bad-reply", "Internal error"),
        ("lies", "bad-reply", "Internal error"),
        ("wrong-kind", "bad-reply", "Internal error"),
        ("silent", "sudo-silent", "why is not known"),
        ("sudo-says-no", "sudo-refused", "not allowed to start servers"),
    ],
)
async def test_a_start_that_fails_has_one_sentence(
    listener: socket.socket, behaviour: str, code: str, said: str
) -> None:
    with pytest.raises(AskError) as caught:
        await start(behaviour, listener)
    assert caught.value.code == code
    assert said in caught.value.message
    assert len(caught.value.detail) < 1000


async def test_what_sudo_says_is_for_the_log_on_one_line(listener: socket.socket) -> None:
    with pytest.raises(AskError) as caught:
        await start("sudo-says-no", listener)
    assert caught.value.detail.startswith("sudo: sudo: a password is required / sudo: sorryxxx")


async def test_a_sudo_that_has_ended_before_it_is_asked_is_heard(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sudo-rs does when it denies: it is quicker than the hub sends."""
    popen = client._popen

    def ended(command: list[str], stdin: int, stderr: int, profile: str) -> subprocess.Popen[bytes]:
        process = popen(command, stdin, stderr, profile)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return process

    monkeypatch.setattr(client, "_popen", ended)
    with pytest.raises(AskError) as start_refused:
        await start("sudo-says-no", listener)
    with pytest.raises(AskError) as stop_refused:
        await client.request_stop(command("sudo-says-no"), STOP)
    for refused in (start_refused, stop_refused):
        assert refused.value.code == "sudo-refused"
        assert refused.value.detail.startswith("sudo: sudo: a password is required")


async def test_a_sudo_that_ends_without_a_word_is_asked_again(
    listener: socket.socket, tmp_path: pathlib.Path
) -> None:
    """As sudo-rs does now and then where the mediator cannot run, and keeps the reason."""
    for_start, for_stop, for_ever = (tmp_path / name for name in ("start", "stop", "ever"))
    with pytest.raises(AskError) as start_refused:
        await client.request_start([*command("refuses"), str(for_start)], START, listener)
    stopped = await client.request_stop([*command("stops"), str(for_stop)], STOP)
    assert (start_refused.value.code, stopped.signalled) == ("no-shell", 2)
    with pytest.raises(AskError) as silent:
        await client.request_stop([*command("silent"), str(for_ever)], STOP)
    assert silent.value.code == "sudo-silent"
    assert {len(file.read_bytes()) for file in (for_start, for_stop, for_ever)} == {3}


async def test_a_missing_sudo_is_a_sentence_too(listener: socket.socket) -> None:
    with pytest.raises(AskError) as caught:
        await client.request_start(["/nonexistent/sudo"], START, listener)
    assert caught.value.code == "sudo-missing"


@pytest.mark.parametrize("sudo", ["/bin/sh", "/nonexistent/sudo"])
async def test_sudo_gets_the_usual_limit_and_umask_and_not_the_hubs(
    monkeypatch: pytest.MonkeyPatch, sudo: str
) -> None:
    monkeypatch.setenv("UNIXSPAWNER_OPEN_FILES", "321")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = os.umask(0o077)
    try:
        with pytest.raises(AskError) as caught:
            await client.request_stop(
                [sudo, "-c", "ulimit -Sn >&2; ulimit -Hn >&2; umask >&2"], STOP
            )
    finally:
        os.umask(before)
    expected = {
        "/bin/sh": ("sudo-refused", f"sudo: 321 / {hard} / 0022"),
        "/nonexistent/sudo": (
            "sudo-missing",
            "sudo: prlimit: failed to execute /nonexistent/sudo: No such file or directory",
        ),
    }
    assert (caught.value.code, caught.value.detail) == expected[sudo]


async def test_sudo_is_told_the_profile_and_nothing_else_of_the_hubs(
    listener: socket.socket,
) -> None:
    with pytest.raises(AskError) as caught:
        await client.request_start(["/bin/sh", "-c", "env -u PWD >&2"], START, listener, "large")
    said = caught.value.detail.removeprefix("sudo: ").split(" / ")
    names = {word.partition("=")[0] for word in said}
    assert "UNIXSPAWNER_PROFILE=large" in said
    assert names - {"_", "SHLVL"} == {"PATH", "LC_ALL", "UNIXSPAWNER_PROFILE"}


async def test_a_start_that_was_given_up_does_not_happen_later(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[subprocess.Popen[bytes]] = []
    popen = client._popen

    def record(
        command: list[str], stdin: int, stderr: int, profile: str
    ) -> subprocess.Popen[bytes]:
        made.append(popen(command, stdin, stderr, profile))
        return made[-1]

    monkeypatch.setattr(client, "_popen", record)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(start("late", listener), 0.1)
    assert made[0].wait() == 17  # its report found the pipe closed


async def test_a_stop_brings_the_last_words() -> None:
    assert await client.request_stop(command("stops"), STOP) == Stopped(2, 0, "bye\n")


async def test_a_login_is_answered() -> None:
    await client.request_authenticate(command("authenticates"), LOGIN)


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        ("wrong-kind", "bad-reply"),  # it names somebody else
        ("refuses", "no-shell"),
        ("stops", "bad-reply"),
        ("silent", "sudo-silent"),
        ("nobody-of-that-name", "passwords-unavailable"),
        ("garbage", "bad-reply"),
        ("floods", "bad-reply"),
    ],
)
async def test_no_other_answer_lets_anybody_in(behaviour: str, code: str) -> None:
    with pytest.raises(AskError) as caught:
        await client.request_authenticate(command(behaviour), LOGIN)
    assert caught.value.code == code
    assert "secret" not in caught.value.message + caught.value.detail


async def test_each_person_that_was_asked_about_has_a_word() -> None:
    assert await client.request_examine(command("examines"), ASKED) == Examined(
        {"alice": "open", "bob": "locked"}
    )


async def test_a_checking_account_that_is_gone_is_not_said_of_the_person() -> None:
    with pytest.raises(AskError) as caught:
        await client.request_examine(command("nobody-of-that-name"), ASKED)
    assert caught.value.code == "passwords-unavailable"
    assert caught.value.detail == "sudo: sudo: unknown user jupyterhub-pam"


@pytest.mark.parametrize("users", [["alice"], ["alice", "bob", "carol"], ["bob", "carol"]])
async def test_words_about_others_are_not_taken(users: list[str]) -> None:
    with pytest.raises(AskError) as caught:
        await client.request_examine(command("examines"), ExamineRequest(users))
    assert caught.value.code == "bad-reply"


async def test_an_answer_that_does_not_come_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 0.05)
    with pytest.raises(AskError) as caught:
        await client.request_stop(command("hangs"), STOP)
    assert caught.value.code == "no-answer"


def test_nothing_secret_is_an_argument_or_a_variable() -> None:
    seen: list[object] = []

    def record(*args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))
        raise OSError(2, "not run")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", record)
        with pytest.raises(AskError):
            asyncio.run(client.request_authenticate(command("silent"), LOGIN))
    assert seen
    assert "secret" not in repr(seen)


@pytest.fixture(autouse=True)
def _no_child_is_left_behind() -> Iterator[None]:
    yield
    for child in waiting._left:
        child.wait()
    waiting._left.clear()
