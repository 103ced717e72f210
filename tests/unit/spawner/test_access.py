"""The programs that may ask the hub: exact scopes, and tokens in files that others cannot read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unixspawner import access


def test_the_command_has_exactly_these_scopes(tmp_path: Path) -> None:
    ((service, role),) = access.services(tmp_path, tmp_path)
    assert role["scopes"] == [
        "list:users",
        "read:users:activity",
        "read:servers",
        "read:tokens",
        "delete:servers",
    ]
    assert role["services"] == [service["name"]]
    assert service["display"] is False
    assert (tmp_path / "admin-token").read_text() == f"{service['api_token']}\n"
    assert str(service["api_token"]) not in str(service["name"])


def test_the_token_stays_over_starts_and_a_new_one_is_another_service(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    first = list(access.services(tmp_path, tmp_path))
    assert list(access.services(tmp_path, tmp_path)) == first
    assert path.stat().st_mode & 0o7777 == 0o600
    path.unlink()
    second = list(access.services(tmp_path, tmp_path))
    assert second[0][0]["name"] != first[0][0]["name"]
    assert second[0][1]["name"] == first[0][1]["name"]
    assert os.listdir(tmp_path) == ["admin-token"]


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 64, b"a b" * 20, b"x" * 1000])
def test_a_damaged_token_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "admin-token"
    path.write_bytes(content)
    path.chmod(0o644)
    token = access.own_token(path)
    assert len(token) == 64
    assert path.read_text() == f"{token}\n"
    assert path.stat().st_mode & 0o7777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="such a token is root's")
class TestMetrics:
    """The token that the administrator makes."""

    TOKEN = "m" * 40

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "metrics-token"
        path.write_text(f"{self.TOKEN}\n")
        path.chmod(0o640)
        return path

    def test_is_for_metrics_alone(self, path: Path) -> None:
        _, (service, role) = access.services(path.parent, path.parent)
        assert (service["api_token"], role["scopes"]) == (self.TOKEN, ["read:metrics"])

    @pytest.mark.parametrize("mode", [0o644, 0o660, 0o642])
    def test_is_not_used_when_others_may_read_or_write_it(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        assert access.given_token(path) == ""

    def test_is_not_used_when_it_is_somebody_elses(self, path: Path) -> None:
        os.chown(path, 65534, -1)
        assert access.given_token(path) == ""

    @pytest.mark.parametrize("content", ["", "short", "two words " * 5, "é" * 40])
    def test_is_not_used_when_it_is_no_token(self, path: Path, content: str) -> None:
        path.write_text(content)
        assert access.given_token(path) == ""
