"""Releases are named after their content, and leave when nothing runs from them."""

import shutil
from pathlib import Path

import pytest

from unixspawner_admin import release
from unixspawner_admin.errors import AdminError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for file in ("pyproject.toml", "requirements.lock", "LICENSE", "config/node/package.json"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    (tmp_path / "config/node/package-lock.json").write_text("{}")
    (tmp_path / "config/node/preload.mjs").write_text("")
    (tmp_path / "README.md").write_text("read me")
    for package in release.PACKAGES:
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("")
    shutil.copytree(ROOT / "config/static", tmp_path / "config/static")
    return tmp_path


def test_the_same_content_has_the_same_name(source: Path) -> None:
    assert release.name(source) == release.name(source)


@pytest.mark.parametrize("file", ["spawner/unixspawner/__init__.py", "config/static/hub.css"])
def test_any_difference_gives_another_name(source: Path, file: str) -> None:
    before = release.name(source)
    (source / file).write_text("x = 1\n")
    assert release.name(source) != before


def test_compiled_files_make_no_difference(source: Path) -> None:
    before = release.name(source)
    cache = source / "spawner/unixspawner/__pycache__"
    cache.mkdir()
    (cache / "x.pyc").write_bytes(b"")
    assert release.name(source) == before


def test_half_a_clone_is_refused(source: Path) -> None:
    release.require_complete(source)
    (source / "requirements.lock").unlink()
    with pytest.raises(AdminError, match="not a complete clone"):
        release.require_complete(source)


def test_the_lock_names_no_host() -> None:
    for name in ("requirements.lock", "config/node/package-lock.json"):
        text = (ROOT / name).read_text()
        assert "--index" not in text
        assert "--find-links" not in text
        assert '"resolved"' not in text


def test_everything_locked_has_hashes() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [i for i, line in enumerate(lines) if "==" in line]
    assert pins
    assert not [lines[i] for i in pins if "--hash=sha256:" not in lines[i + 1]]


@pytest.mark.parametrize(
    ("stamp", "source"),
    [
        (None, ""),
        ("", ""),
        ("{", ""),
        ("[1]", ""),
        ('{"release": "x"}', ""),
        ('{"source": "/srv/clone"}', "/srv/clone"),
    ],
)
def test_a_release_says_which_clone_it_is_from(
    tmp_path: Path, stamp: str | None, source: str
) -> None:
    if stamp is not None:
        (tmp_path / ".complete").write_text(stamp)
    assert release.noted_source(tmp_path) == source
