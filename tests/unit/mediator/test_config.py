"""mediator.toml: root's alone, exact names, exact types."""

import os
import pathlib
from typing import Any

import pytest

from unixspawner_mediator import config
from unixspawner_mediator.config import ConfigError

GOOD: dict[str, Any] = {
    "hub_account": "jupyterhub",
    "users_group": "jupyterhub-users",
    "command": ["/opt/python", "-I"],
}


def test_what_is_not_set_has_its_default() -> None:
    settings = config.parse(GOOD)
    assert (settings.min_uid, settings.umask, settings.environment) == (1000, "", [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"comand": []}, "unknown settings: ['comand'], missing: []"),
        ({"min_uid": "1000"}, "min_uid has the wrong type"),
        ({"min_uid": True}, "min_uid has the wrong type"),
        ({"min_uid": 0}, "min_uid must be at least 1: root is never served"),
        ({"command": "/opt/python"}, "command has the wrong type"),
        ({"command": ["/opt/python", 3]}, "command has the wrong type"),
        ({"command": []}, "command must begin with the absolute path of a program"),
        ({"command": ["python"]}, "command must begin with the absolute path of a program"),
        ({"umask": "22"}, "umask must be four octal digits, such as 0022"),
        ({"umask": "0o22"}, "umask must be four octal digits, such as 0022"),
        ({"environment": ["A=B"]}, "environment: 'A=B' is not the name of a variable"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(GOOD | change)
    assert str(caught.value) == reason


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="missing: \\['users_group'\\]"):
        config.parse({k: v for k, v in GOOD.items() if k != "users_group"})


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_a_file_that_others_may_write_is_not_read(tmp_path: pathlib.Path, mode: int) -> None:
    path = tmp_path / "mediator.toml"
    path.write_text("")
    path.chmod(mode)
    with pytest.raises(ConfigError, match="must belong to root"):
        config.read(str(path))


def test_a_file_of_somebody_else_is_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mediator.toml"
    path.write_text("")
    if os.getuid() == 0:
        os.chown(path, 65534, 65534)
    with pytest.raises(ConfigError, match="must belong to root"):
        config.read(str(path))


def test_a_missing_file_says_so(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.read(str(tmp_path / "mediator.toml"))
