"""What the kernel has ended for want of memory, read from trees that look like the kernel's."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from unixspawner_singleuser.memory import MemoryEnds
from unixspawner_singleuser.program import _in_words

SLICE = f"user-{os.getuid()}.slice"
Kernel = Callable[..., MemoryEnds]


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """Makes /proc and control groups, with the person's slice where a session has it."""
    own = tmp_path / "proc/self/cgroup"
    own.parent.mkdir(parents=True)
    group = tmp_path / f"cgroup/user.slice/{SLICE}"
    (group / "session-1.scope").mkdir(parents=True)

    def make(path: str = f"/user.slice/{SLICE}/session-1.scope", **files: str) -> MemoryEnds:
        own.write_text(f"0::{path}\n")
        for name, content in files.items():
            (group / name.replace("_", ".", 1)).write_text(content)
        return MemoryEnds(tmp_path / "proc", tmp_path / "cgroup")

    return make


def events(kills: int) -> str:
    return f"low 0\nhigh 0\nmax 12\noom 3\noom_kill {kills}\noom_group_kill 0\n"


def test_only_what_ended_since_then_counts(kernel: Kernel) -> None:
    ends = kernel(memory_events=events(4), memory_max=f"{2 * 2**30}\n")
    assert ends.count == 0
    kernel(memory_events=events(6))
    assert ends.count == 2
    assert ends.reason == "the 2 GiB of memory that you may use were used up"


@pytest.mark.parametrize("person", ["max", "2147483648"])
def test_the_size_that_was_chosen_is_told_apart(
    kernel: Kernel, tmp_path: Path, person: str
) -> None:
    ends = kernel(memory_events=events(0), memory_max=f"{person}\n")
    session = tmp_path / f"cgroup/user.slice/{SLICE}/session-1.scope/memory.max"
    session.write_text(f"{2**29}\n")
    assert ends.reason == "the 512 MiB of memory that were chosen for this server were used up"
    session.write_text("max\n")
    assert "chosen" not in ends.reason


def test_without_a_limit_it_was_the_machine(kernel: Kernel) -> None:
    ends = kernel(memory_events=events(0), memory_max="max\n")
    assert ends.reason == "this machine had no memory left"


@pytest.mark.parametrize("path", ["/", "/system.slice/unixspawner.service", "/user.slice"])
def test_ends_of_others_are_not_told(kernel: Kernel, path: str) -> None:
    ends = kernel(path, memory_events=events(0))
    kernel(path, memory_events=events(5))
    assert ends.count == 0


@pytest.mark.parametrize("content", ["", "oom_kill\n", "oom_kill many\n", "oom_kill -1\n"])
def test_what_is_no_number_is_none(kernel: Kernel, content: str) -> None:
    assert kernel(memory_events=content).count == 0


def test_the_real_machine_can_be_asked() -> None:
    assert MemoryEnds().count == 0


def ended(code: int, status: int) -> os.waitid_result:
    return os.waitid_result((1, 0, signal.SIGCHLD, status, code))


@pytest.mark.parametrize(
    ("code", "status", "shown"),
    [
        (os.CLD_KILLED, signal.SIGKILL, "was ended because this machine had no memory left"),
        (os.CLD_EXITED, 137, "was ended because this machine had no memory left"),
        (os.CLD_KILLED, signal.SIGTERM, "was ended by SIGTERM"),
        (os.CLD_EXITED, 1, "ended with exit status 1"),
    ],
)
def test_an_application_that_ended_so_says_why(
    kernel: Kernel, code: int, status: int, shown: str
) -> None:
    ends = kernel(memory_events=events(0))
    assert _in_words(ended(os.CLD_KILLED, signal.SIGKILL), ends) == "was ended by SIGKILL"
    kernel(memory_events=events(1))
    assert _in_words(ended(code, status), ends) == shown
