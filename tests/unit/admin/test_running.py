"""What runs, as /proc tells it: real processes of ours that carry a server's marker."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

import pytest

from unixspawner_admin import running, status, stopping, system
from unixspawner_admin.options import Options
from unixspawner_admin.overview import NOT_THE_HUBS, Overview, Row
from unixspawner_admin.running import Process, Server
from unixspawner_admin.stopping import Finder, Selection

ID = "ab" * 16
ME = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
UID = pwd.getpwnam(ME).pw_uid


@contextmanager
def process(code: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process of somebody who is not root, that has said that it is ready."""
    command = [sys.executable, "-c", f"print('ready', flush=True); {code}"]
    with subprocess.Popen(
        ["/usr/bin/setpriv", f"--reuid={UID}", "--clear-groups", *command]
        if os.geteuid() == 0
        else command,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


def mine() -> list[Server]:
    return [server for server in running.servers() if server.server_id == ID]


SLEEP = "import time; time.sleep(60)"
BUSY = "\nwhile True: pass"
FORK = "import os, time; os.environ.clear(); os.fork(); time.sleep(60)"
MARK = {"UNIXSPAWNER_SERVER_ID": ID, "JUPYTERHUB_SERVER_NAME": "lab"}


def test_a_server_is_all_that_carries_its_marker() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(process(SLEEP, **MARK))
        notes = {"UNIXSPAWNER_APPLICATION": "notes:0f"}
        second = stack.enter_context(process(SLEEP, **MARK, **notes))
        stack.enter_context(process(SLEEP))
        (server,) = mine()
        assert (server.account, server.name) == (ME, "lab")
        assert sorted(server.pids) == sorted([first.pid, second.pid])
        assert server.applications == ["notes"]
        assert abs(server.since.timestamp() - time.time()) < 30
    assert mine() == []


def test_and_all_that_descends_from_these() -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen(['/bin/sleep', '60'], env={});"
        "print(child.pid, flush=True); child.wait()"
    )
    with process(code, **MARK) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        (server,) = mine()
        assert sorted(server.pids) == sorted([parent.pid, child])
        # what has lost its parent since it was seen is still found, and is no other process
        finder = Finder(Selection(ME))
        assert finder.pids() == sorted([parent.pid, child])
        parent.kill()
        parent.wait()
        assert finder.pids() == [child]
        os.kill(child, 9)
        while running.start_time(child) is not None:
            pass
        assert finder.pids() == []


@pytest.mark.parametrize(
    "variables",
    [
        {"UNIXSPAWNER_SERVER_ID": "x"},
        {"UNIXSPAWNER_SERVER_ID": ID.upper()},
        {"XUNIXSPAWNER_SERVER_ID": ID},
        {"UNIXSPAWNER_SERVER_ID": f"{ID}0"},
    ],
    ids=str,
)
def test_what_is_no_marker_is_none(variables: dict[str, str]) -> None:
    with process(SLEEP, **variables) as child:
        assert [s for s in running.servers() if child.pid in s.pids] == []


def test_memory_is_the_kernels() -> None:
    with process("data = bytearray(50 * 2**20); " + SLEEP, **MARK) as child:
        megabytes = 2**20
        while running.memory([child.pid])[0] < 50 * megabytes:
            assert child.poll() is None
        memory, kind = running.memory([child.pid])
        assert kind == "PSS"
        assert 50 * megabytes <= memory < 90 * megabytes
        resident = running._resident(child.pid)
        assert resident >= memory
    assert running.memory([child.pid]) == (0, "PSS")


def test_processors_in_use() -> None:
    with process(BUSY, **MARK):
        before, began = mine(), time.monotonic()
        while (after := mine())[0].used < before[0].used + 20:
            pass
        seconds = time.monotonic() - began
        (share,) = running.cpu_shares(before, after, seconds).values()
        assert 20 <= share * seconds * os.sysconf("SC_CLK_TCK") < 60
        assert share < 1.2
        assert running.cpu_shares(after, after, 1.0) == {(ME, ID): 0.0}


def test_which_servers_are_meant() -> None:
    everybody, alice, lab = Selection(), Selection("alice"), Selection("alice", "lab")
    unnamed = Selection("alice", "")
    assert everybody.includes("bob", "x")
    assert alice.includes("alice", "") and alice.includes("alice", "lab")
    assert not alice.includes("bob", "")
    assert lab.includes("alice", "lab") and not lab.includes("alice", "")
    assert unnamed.includes("alice", "") and not unnamed.includes("alice", "lab")
    assert stopping.name_of(("alice", "")) == "the server of alice"
    assert stopping.name_of(("alice", "lab")) == "the server lab of alice"


def test_a_number_is_as_good_as_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    nameless, another = 2_999_999_998, 2_999_999_999
    server = Server("alice", "", ID, (Process(1, 0, nameless, 1, 1, {}),))
    monkeypatch.setattr(running, "servers", lambda hub_account: [server])
    for who in ("alice", str(nameless)):
        assert stopping.account_of(Options(), who) == "alice"
    assert stopping.account_of(Options(), str(another)) == str(another)
    assert stopping.account_of(Options(), str(UID)) == ME


@pytest.mark.parametrize(
    ("person", "server", "words"),
    [
        ("alice", "lab", "alice lab"),
        ("alice", "", "alice ''"),
        ("4001", "", "4001 ''"),
        ("alice", "my lab; ls", "alice 'my lab; ls'"),
        ("alice", "-x", "-- alice -x"),
        ("alice", "\x1b[2J", "alice"),  # all of theirs: that cannot be typed
        ("alice", "x" * 255, f"alice {'x' * 255}"),
    ],
)
def test_how_to_end_a_server_can_be_typed_as_it_is_shown(
    person: str, server: str, words: str
) -> None:
    row = Row(person, server, NOT_THE_HUBS, None, 0, 0.0, 1, (), None)
    found = Overview("http://127.0.0.1:8000/", True, True, None, "", "PSS", (row,))
    last = list(status.lines(found, None, datetime.now().astimezone()))[-1]
    assert last == f"The hub does not know this server; to end it: unixspawner stop {words}"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another account")
def test_a_program_is_run_as_another_account_for_good() -> None:
    program = "import os; print(os.getresuid(), flush=True); os.setuid(0)"
    words = ["/usr/bin/python3", "-c", program]
    status, output = system.try_run(words, account="nobody")
    assert status == 1
    assert output.startswith(f"({UID}, {UID}, {UID})")
    assert "PermissionError" in output
