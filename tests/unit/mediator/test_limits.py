"""limits.toml: exact names and values, and which of several sections counts."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

from unixspawner_mediator import limits
from unixspawner_mediator.config import ConfigError
from unixspawner_mediator.limits import Limits, Profile

GIB = 2**30
FILE: dict[str, Any] = {
    "default": {"memory": "1G", "cpu": 2, "tasks": 500, "io_weight": 100},
    "group": {
        "students": {"memory": "512M", "cpu": 0.5},
        "staff": {"memory": "8G", "tasks": "infinity"},
    },
    "user": {"mallory": {"memory": "64M", "tasks": 32}},
}


def found(name: str, *groups: str) -> Limits:
    return limits.limits_for(limits.parse(FILE), name, groups)


def test_the_default_is_for_everybody() -> None:
    assert found("alice") == Limits(GIB, 2.0, 500, 100)
    assert found("alice", "wheel") == found("alice")


def test_a_group_counts_before_the_default_also_when_it_gives_less() -> None:
    assert found("alice", "students") == Limits(GIB / 2, 0.5, 500, 100)


def test_of_several_groups_the_most_generous_counts_key_by_key() -> None:
    assert found("alice", "students", "staff") == Limits(8 * GIB, 0.5, math.inf, 100)
    assert found("alice", "staff", "students") == found("alice", "students", "staff")


def test_a_persons_own_section_counts_before_all_also_when_it_gives_less() -> None:
    assert found("mallory", "staff") == Limits(64 * 2**20, 2.0, 32, 100)


def test_an_empty_file_says_nothing() -> None:
    tables: tuple[dict[str, Any], ...] = ({}, {"default": {}}, {"group": {"a": {}}, "user": {}})
    for table in tables:
        file = limits.parse(table)
        assert file.is_empty
        assert limits.limits_for(file, "alice", ["students"]) == Limits()
        assert limits.properties(Limits()) == {}
    assert not limits.parse(FILE).is_empty


def test_the_words_of_systemd() -> None:
    assert limits.properties(Limits(GIB, 1.5, 500, 50)) == {
        "MemoryMax": "1073741824",
        "CPUQuota": "150%",
        "TasksMax": "500",
        "IOWeight": "50",
    }
    unlimited = Limits(math.inf, math.inf, math.inf)
    assert limits.properties(unlimited) == {
        "MemoryMax": "infinity",
        "CPUQuota": "",
        "TasksMax": "infinity",
    }
    assert set(limits.properties(Limits(1, 1, 1, 1))) == set(limits.PROPERTIES)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"defaults": {}}, "limits.toml has unknown sections: ['defaults']"),
        ({"memory": "1G"}, "limits.toml has unknown sections: ['memory']"),
        ({"default": []}, "limits.toml: [default] must be a section"),
        ({"group": "x"}, "limits.toml: group must be sections such as [group.NAME]"),
        ({"group": {"memory": "1G"}}, "limits.toml: [group.memory] must be a section"),
        ({"user": {"a": {"ram": 1}}}, "limits.toml: [user.a] has unknown keys: ['ram']"),
    ],
)
def test_what_is_unknown_is_refused(table: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits.parse(table)
    assert str(caught.value) == reason


NONSENSE: dict[str, tuple[object, ...]] = {
    "memory": (
        *(1, 1.5, True, "", "4", "4g", "-4G", "0G", "63M", "4 G"),
        "4G\n",
        "50%",
        ["4G"],
        "4K",
    ),
    "cpu": (0, -1, True, "2", "", math.inf, math.nan, 0.01, 5000, []),
    "tasks": (0, 31, 1.5, True, "100", "inf", 2**23, None),
    "io_weight": (0, 10001, 1.5, True, "100", "infinity", -1),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in NONSENSE.items() for value in values]
)
def test_a_value_that_makes_no_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[default\] {key} must be "):
        limits.parse({"default": {key: value}})


def test_the_file_that_is_installed_can_be_read_and_says_nothing(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "config/limits.toml").read_text("utf-8")
    assert limits.read(written(tmp_path, text)).is_empty
    # and says something once its hashes are taken away
    lines = [
        line[1:] if line.startswith("#") and line[1:2] != " " else line
        for line in text.splitlines()
    ]
    assert not limits.read(written(tmp_path, "\n".join(lines))).is_empty


def written(folder: Path, text: str) -> str:
    path = folder / "limits.toml"
    path.write_text(text)
    path.chmod(0o644)
    if os.getuid() != 0:
        pytest.skip("a file of root's takes root")
    return str(path)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_may_write_is_not_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("")
    path.chmod(mode)
    with pytest.raises(ConfigError, match="must belong to root"):
        limits.read(str(path))


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    assert limits.read(str(tmp_path / "limits.toml")).is_empty


@pytest.mark.parametrize("text", ["[default", "a = 1\na = 2", "x = " + "[" * 5000, "\udc80"])
def test_what_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    path = Path(written(tmp_path, ""))
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="is not valid TOML"):
        limits.read(str(path))


# Profiles

SIZES: dict[str, Any] = {
    "small": {"title": "Small", "description": "Notebooks", "memory": "2G", "cpu": 1},
    "large": {"title": "Large", "memory": "16G", "cpu": 8, "tasks": 4000},
    "all": {"title": "All", "memory": "infinity"},
}


def test_profiles_keep_the_order_of_the_file() -> None:
    file = limits.parse({"profile": SIZES})
    assert list(file.profiles) == ["small", "large", "all"]
    assert file.profiles["small"] == Profile("Small", "Notebooks", Limits(2 * GIB, 1.0))
    assert not file.is_empty
    assert limits.limits_for(file, "alice", ["small"]) == Limits()


@pytest.mark.parametrize(
    ("bounds", "names"),
    [
        (Limits(), ["small", "large", "all"]),
        (Limits(math.inf, math.inf, math.inf), ["small", "large", "all"]),
        (Limits(memory=4 * GIB), ["small", "all"]),
        (Limits(memory=16 * GIB, cpu=7.5), ["small", "all"]),
        (Limits(tasks=3999), ["small", "all"]),
        (Limits(memory=16 * GIB, cpu=8, tasks=4000, io_weight=1), ["small", "large", "all"]),
        (Limits(memory=GIB), ["all"]),
    ],
)
def test_what_is_larger_than_a_person_may_use_is_not_offered(
    bounds: Limits, names: list[str]
) -> None:
    assert list(limits.profiles_within(limits.parse({"profile": SIZES}), bounds)) == names


@pytest.mark.parametrize(
    ("profiles", "reason"),
    [
        (3, "profile must be sections such as [profile.NAME]"),
        ({"small": 3}, "[profile.small] needs a title"),
        ({"small": {}}, "[profile.small] needs a title, and texts are in quotes"),
        ({"small": {"title": 3}}, "[profile.small] needs a title, and texts are in quotes"),
        ({"small": {"title": "S", "description": 3}}, "[profile.small] needs a title"),
        ({"small": {"title": "S", "memory": 3}}, "[profile.small] memory must be a text"),
        ({"small": {"title": "S", "disk": 3}}, "[profile.small] has unknown keys: ['disk']"),
        ({"small": {"title": "S", "io_weight": 3}}, "[profile.small] cannot have io_weight"),
        ({"Small": {"title": "S"}}, "[profile.Small] must be named in a-z, 0-9 and -"),
        ({"a=b": {"title": "S"}}, "[profile.a=b] must be named in a-z, 0-9 and -"),
        ({"x" * 33: {"title": "S"}}, "must be named in a-z, 0-9 and -"),
    ],
)
def test_a_mistake_in_a_profile_is_named(profiles: Any, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limits.parse({"profile": profiles})
    assert reason in str(caught.value)
