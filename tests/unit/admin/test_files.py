"""Planning of files and directories, on a real file system: what changes, what is left alone."""

import grp
import os
from pathlib import Path

import pytest

from unixspawner_admin import files
from unixspawner_admin.errors import AdminError
from unixspawner_admin.files import WantedFile
from unixspawner_admin.manifest import Manifest, digest, load

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files are made as root's")
ROOT_GROUP = grp.getgrgid(0).gr_name


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path / "opt/manifest.json")


def bring(wanted: WantedFile, manifest: Manifest) -> list[str]:
    """Plan and apply; returns the texts."""
    changes = files.plan_file(wanted, manifest)
    for change in changes:
        change.apply()
    return [change.text for change in changes]


def test_a_missing_file_is_created_once(tmp_path: Path, manifest: Manifest) -> None:
    wanted = WantedFile(tmp_path / "a/b", b"1", 0o640, ROOT_GROUP)
    assert bring(wanted, manifest) == [f"create {wanted.path}"]
    assert wanted.path.read_bytes() == b"1"
    assert wanted.path.stat().st_mode & 0o7777 == 0o640
    assert bring(wanted, manifest) == []


def test_planning_alone_changes_nothing(tmp_path: Path, manifest: Manifest) -> None:
    files.plan_file(WantedFile(tmp_path / "a/b", b"1"), manifest)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_mode_is_put_right(tmp_path: Path, manifest: Manifest) -> None:
    wanted = WantedFile(tmp_path / "a", b"1")
    bring(wanted, manifest)
    wanted.path.chmod(0o666)
    assert bring(wanted, manifest) == [f"set owner and mode of {wanted.path} to 0644"]
    assert wanted.path.stat().st_mode & 0o7777 == 0o644


def test_a_program_is_always_made_right(tmp_path: Path, manifest: Manifest) -> None:
    wanted = WantedFile(tmp_path / "a", b"1")
    bring(wanted, manifest)
    wanted.path.write_bytes(b"tampered")
    assert bring(wanted, manifest) == [f"update {wanted.path}"]
    assert wanted.path.read_bytes() == b"1"


def test_a_symbolic_link_in_its_place_is_replaced(tmp_path: Path, manifest: Manifest) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    wanted = WantedFile(tmp_path / "a", b"1")
    wanted.path.symlink_to(victim)
    bring(wanted, manifest)
    assert victim.read_bytes() == b"precious"
    assert not wanted.path.is_symlink()


class TestEdited:
    """Configuration that the administrator has changed."""

    @pytest.fixture
    def path(self, tmp_path: Path, manifest: Manifest) -> Path:
        path = tmp_path / "x.toml"
        bring(WantedFile(path, b"first", editable=True), manifest)
        path.write_bytes(b"mine")
        return path

    def test_stays_when_ours_is_the_same(self, path: Path, manifest: Manifest) -> None:
        assert bring(WantedFile(path, b"first", editable=True), manifest) == []
        assert path.read_bytes() == b"mine"

    def test_stays_and_ours_is_put_beside_it_once(self, path: Path, manifest: Manifest) -> None:
        newer = WantedFile(path, b"second", editable=True)
        texts = [f"keep your own {path} and put ours beside it as x.toml.new"]
        assert bring(newer, manifest) == texts
        assert path.read_bytes() == b"mine"
        assert files.beside(path).read_bytes() == b"second"
        assert bring(newer, manifest) == []

    def test_accepting_ours_ends_it(self, path: Path, manifest: Manifest) -> None:
        bring(WantedFile(path, b"second", editable=True), manifest)
        path.write_bytes(b"second")
        bring(WantedFile(path, b"third", editable=True), manifest)
        assert path.read_bytes() == b"third"
        assert not files.beside(path).exists()


def test_a_stranger_s_file_stays(tmp_path: Path, manifest: Manifest) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"theirs")
    bring(WantedFile(path, b"ours", editable=True), manifest)
    assert path.read_bytes() == b"theirs"


def test_a_refused_file_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, manifest: Manifest
) -> None:
    def refuse(_path: Path) -> None:
        raise AdminError("not valid")

    path = tmp_path / "etc/sudoers"
    bring(WantedFile(path, b"old"), manifest)
    with pytest.raises(AdminError):
        bring(WantedFile(path, b"new", check=refuse), manifest)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["sudoers"]


def test_what_is_no_longer_wanted_goes(tmp_path: Path, manifest: Manifest) -> None:
    kept, gone = WantedFile(tmp_path / "kept", b""), WantedFile(tmp_path / "gone", b"")
    bring(kept, manifest)
    bring(gone, manifest)
    changes = files.plan_removals([kept], manifest)
    assert [change.text for change in changes] == [f"remove {gone.path}"]
    changes[0].apply()
    assert not gone.path.exists()
    assert list(manifest.files) == [str(kept.path)]


def test_the_record_survives(tmp_path: Path, manifest: Manifest) -> None:
    bring(WantedFile(tmp_path / "new/a", b"1"), manifest)
    manifest.remember(manifest.accounts, "jupyterhub")
    again = load(manifest.path)
    assert again == manifest
    assert again.files == {str(tmp_path / "new/a"): digest(b"1")}
    assert again.directories == [str(tmp_path / "new")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 2}',
        '{"version": 1, "files": []}',
        '{"version": 1, "x": []}',
        "[" * 100000,
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(text)
    with pytest.raises(AdminError, match="is damaged"):
        load(path)
