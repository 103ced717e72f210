"""A drain as the hub reads it: the sentence for people, on pages as HTML, and never a surprise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unixspawner import draining
from unixspawner.client import AskError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "draining"
    monkeypatch.setattr(draining, "FILE", str(path))
    return path


def sentence() -> str:
    with pytest.raises(AskError) as caught:
        draining.require_off()
    assert caught.value.code == "draining"
    return caught.value.message


def test_without_a_file_servers_start(file: Path) -> None:
    draining.require_off()
    assert draining.message() is None
    assert draining.announcement()(None) == ""
    assert draining.announcement("Ours.")(None) == "Ours."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Kernel update\n", "Kernel update."),
        ("Back soon!", "Back soon!"),
        ("", "try again later."),
        ("a\nb\x1b", "a\\nb\\x1b."),
        ("é" * 501, "é" * 500 + "... (501 characters)."),
    ],
)
def test_the_sentence(file: Path, text: str, said: str) -> None:
    file.write_text(text, "utf-8")
    assert sentence() == f"No new servers start at the moment: {said}"


def test_what_cannot_be_read_is_a_drain_too(file: Path) -> None:
    file.mkdir()
    assert sentence() == "No new servers start at the moment: try again later."
    file.rmdir()
    os.symlink("/nonexistent", file)
    assert draining.is_on()


def test_pages_get_it_escaped(file: Path) -> None:
    file.write_text("<script>alert(1)</script> & more", "utf-8")
    assert draining.announcement("Ours.")(None) == (
        "No new servers start at the moment: &lt;script&gt;alert(1)&lt;/script&gt; &amp; more. "
        "Running servers go on."
    )
