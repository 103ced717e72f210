"""The limits of a server, read from trees that look like the kernel's."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from unixspawner_singleuser import limits
from unixspawner_singleuser.limits import Limit, current_limits, group_levels, size

MIB = 1024**2
Tree = Callable[..., tuple[Limit, ...]]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """Makes /proc/self/cgroup and control groups, and says what is found there."""
    monkeypatch.setattr(limits, "resource_limits", list)

    def make(own: str, **files: str) -> tuple[Limit, ...]:
        proc, groups = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "self/cgroup").write_text(own)
        groups.mkdir()
        for name, content in files.items():
            path = groups / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return current_limits(proc, groups)

    return make


def test_the_narrowest_group_on_the_way_up_counts(tree: Tree) -> None:
    found = tree(
        "0::/user/alice/server\n",
        user__alice__server__memory_max="max\n",
        user__alice__memory_max=f"{512 * MIB}\n",
        user__alice__memory_current=f"{128 * MIB}\n",
        user__memory_max=f"{2048 * MIB}\n",
        user__alice__server__cpu_max="max 100000\n",
        user__alice__cpu_max="150000 100000\n",
        user__cpu_max="400000 100000\n",
        user__alice__server__pids_max="100\n",
        user__alice__server__pids_current="7\n",
        user__alice__pids_max="4000\n",
    )
    assert found == (
        Limit("Memory", "512 MiB, 128 MiB in use"),
        Limit("Processors", "1.5"),
        Limit("Processes and threads", "100, 7 in use"),
    )


@pytest.mark.parametrize(
    ("server", "account", "shown"),
    [
        ("default 100", "default 50", ["50, where 100 is usual"]),
        ("default 700", "default 100", ["700, where 100 is usual"]),
        ("default 100", "default 100\n8:16 300", []),
        ("nonsense", "default", []),
    ],
)
def test_the_share_of_a_busy_disk_is_told_when_it_differs(
    tree: Tree, server: str, account: str, shown: list[str]
) -> None:
    found = tree(
        "0::/alice/server\n",
        alice__server__io_weight=f"{server}\n",
        alice__io_weight=f"{account}\n",
    )
    assert found == tuple(Limit("Share of a busy disk", text) for text in shown)


def test_a_sibling_is_not_asked(tree: Tree) -> None:
    assert tree("0::/alice\n", bob__memory_max="1\n") == ()


def test_a_limit_of_nothing_is_a_limit(tree: Tree) -> None:
    assert tree("0::/\n", pids_max="0\n") == (Limit("Processes and threads", "0"),)


def test_in_a_container_the_root_has_the_limits(tree: Tree) -> None:
    assert tree("0::/\n", cpu_max="50000 100000\n") == (Limit("Processors", "0.5"),)


@pytest.mark.parametrize(
    "own", ["", "9:name=systemd:/\n4:memory:/user\n", "nonsense", "0::relative\n"]
)
def test_without_version_2_nothing_is_said(tree: Tree, own: str) -> None:
    assert tree(own, memory_max="1\n", user__memory_max="1\n") == ()


@pytest.mark.parametrize("content", ["", "-1\n", "12 34\n", "0x10\n", "a lot\n", "²\n"])
def test_what_is_no_number_is_no_limit(tree: Tree, content: str) -> None:
    assert tree("0::/\n", memory_max=content, pids_max=content) == ()


@pytest.mark.parametrize("content", ["100000 0\n", "100000\n", "100000 x\n", "max\n"])
def test_what_is_no_share_is_no_limit(tree: Tree, content: str) -> None:
    assert tree("0::/\n", cpu_max=content) == ()


def test_a_group_outside_of_the_namespace_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/../../elsewhere\n")
    assert group_levels(tmp_path, tmp_path / "cgroup") == (tmp_path / "cgroup",)


def test_the_resource_limits_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    soft = {
        resource.RLIMIT_NPROC: 4096,
        resource.RLIMIT_NOFILE: 1024,
        resource.RLIMIT_AS: 8 * 1024 * MIB,
        resource.RLIMIT_FSIZE: resource.RLIM_INFINITY,
    }
    monkeypatch.setattr(resource, "getrlimit", lambda number: (soft[number], 1 << 40))
    assert limits.resource_limits() == [
        Limit("Processes of the account", "4096"),
        Limit("Open files, each process", "1024"),
        Limit("Address space, each process", "8 GiB"),
    ]


def test_the_real_machine_can_be_asked() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert Limit("Open files, each process", str(soft)) in current_limits()


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (1024**4, "1 TiB"),
        (2 * 1024**6, "2048 PiB"),
    ],
)
def test_sizes_are_for_people(number: int, shown: str) -> None:
    assert size(number) == shown
