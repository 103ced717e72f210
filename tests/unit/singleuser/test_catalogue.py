"""The files in apps.d: what is read, what is refused and where, and that changes are noticed.

Each file in `refused/` says in its first line what is wrong with it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unixspawner_singleuser.catalogue import Application, Catalogue, Command, Refusal, Upstream
from unixspawner_singleuser.catalogue_files import LOOK_EVERY, MAX_FILES, MAX_SIZE, Shelf, load

REFUSED = Path(__file__).parent / "refused"
MINE = frozenset({os.getuid()})
GOOD = 'title = "Good"\nurl = "http://localhost:1"\n'


@pytest.mark.parametrize("path", sorted(REFUSED.glob("*.toml")), ids=lambda path: path.stem)
def test_a_wrong_file_is_refused_with_its_line_and_the_others_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: Path
) -> None:
    text = path.read_text()
    (tmp_path / "good.toml").write_text(GOOD)
    (tmp_path / "bad.toml").write_text(text)
    expected = text.partition("\n")[0].removeprefix("# ")
    loaded = load(str(tmp_path), MINE)
    assert [app.name for app in loaded.applications] == ["good"]
    (refusal,) = loaded.refusals
    separator = ", " if expected.startswith("line") else ": "
    assert str(refusal).startswith(f"{tmp_path}/bad.toml{separator}{expected}")
    assert f"{refusal}. It is left out." in caplog.messages


def refusal_of(directory: Path) -> str:
    (refusal,) = load(str(directory), MINE).refusals
    return str(refusal).removeprefix(f"{directory}/")


@pytest.mark.parametrize("name", ["a b", "$(id)", ";x", "`x`", "Ab", "-a", "a-", "@evil", "a" * 65])
def test_a_name_that_could_mean_something_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.toml").write_text(GOOD)
    expected = "its name may only have lower-case letters, digits and -"
    assert refusal_of(tmp_path) == f"{name}.toml: {expected}"


def test_what_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b'title = "X"\n# \xff\n')
    assert refusal_of(tmp_path) == "a.toml, line 2: it is not UTF-8 text"


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD + "#" * MAX_SIZE)
    assert refusal_of(tmp_path) == f"a.toml: it is larger than {MAX_SIZE} bytes"


def test_a_nesting_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = " + "[" * 20000)
    assert refusal_of(tmp_path).startswith("a.toml, line 1: it is not valid TOML (")


def test_a_pipe_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.toml")
    assert refusal_of(tmp_path) == "a.toml: it is not a regular file"


def test_a_directory_and_a_link_to_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").mkdir()
    assert refusal_of(tmp_path) == "a.toml: it is not a regular file"
    (tmp_path / "a.toml").rmdir()
    (tmp_path / "a.toml").symlink_to("nowhere")
    assert refusal_of(tmp_path) == "a.toml: it cannot be read (No such file or directory)"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o602])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "a.toml").chmod(mode)
    assert refusal_of(tmp_path) == "a.toml: others than its owner may write it"


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    (refusal,) = load(str(tmp_path), frozenset({os.getuid() + 1})).refusals
    assert refusal.reason == "it does not belong to root"


def test_only_one_application_can_be_the_root(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(GOOD + "root = true\n")
    loaded = load(str(tmp_path), MINE)
    assert loaded.root is not None
    assert [app.name for app in loaded.applications] == ["a"]
    reason = f"{tmp_path}/a.toml has root = true already"
    assert loaded.refusals == (Refusal(f"{tmp_path}/b.toml", 3, reason),)


def test_more_files_than_anybody_needs_are_refused(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"a{number:03}.toml").write_text(GOOD)
    loaded = load(str(tmp_path), MINE)
    assert len(loaded.applications) == MAX_FILES
    (refusal,) = loaded.refusals
    assert refusal.path == f"{tmp_path}/a{MAX_FILES:03}.toml"


def test_no_directory_means_no_applications(tmp_path: Path) -> None:
    assert load(str(tmp_path / "none"), MINE) == Catalogue()


def test_what_editors_keep_beside_a_file_is_not_read(tmp_path: Path) -> None:
    for name in (".#a.toml", "a.toml~", "a.toml.new", "README"):
        (tmp_path / name).write_text("not for us")
    assert load(str(tmp_path), MINE).refusals == ()


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        """
        title = "JupyterLab"
        description = "Notebooks"
        icon = "lab.svg"
        groups = ["staff", "physics"]
        root = true
        prefix = "keep"
        command = ["jupyter-lab", "--sock={socket}", "{}", "{ x }", '{"a": 1}', "{user}{name}"]
        directory = "~/notebooks"
        environment = { LAB = "{home}/lab", PREFIX = "{prefix}" }
        start_timeout = 90
        idle_timeout = 0.5
        shell = "login"
        """
    )
    command = Command(
        words=("jupyter-lab", "--sock={socket}", "{}", "{ x }", '{"a": 1}', "{user}{name}"),
        directory="~/notebooks",
        environment=(("LAB", "{home}/lab"), ("PREFIX", "{prefix}")),
        shell="login",
        start_timeout=90.0,
        idle_timeout=0.5,
    )
    expected = Application(
        name="lab",
        title="JupyterLab",
        description="Notebooks",
        root=True,
        upstream=Upstream(),
        icon=f"{tmp_path}/lab.svg",
        groups=("staff", "physics"),
        keep_prefix=True,
        command=command,
    )
    assert load(str(tmp_path), MINE).applications == (expected,)


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('title = "X"\ncommand = ["x"]\nenvironment.S = "{socket}"\n')
    (application,) = load(str(tmp_path), MINE).applications
    command = Command(("x",), "~", (("S", "{socket}"),), "interactive", 60.0, 0.0)
    assert application == Application("a", "X", "", False, Upstream(), "", (), False, command)


def test_only_members_of_its_groups_see_an_application() -> None:
    def application(name: str, *groups: str) -> Application:
        return Application(name, name, "", False, Upstream("/a"), groups=groups)

    catalogue = Catalogue(
        (application("all"), application("staff", "staff"), application("two", "a", "b"))
    )
    assert [app.name for app in catalogue.visible(["b", "c"]).applications] == ["all", "two"]
    assert [app.name for app in catalogue.visible([]).applications] == ["all"]
    assert catalogue.visible(["c"]).find("staff") is None
    assert catalogue.visible(["staff"]).find("staff") is not None


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_change_is_noticed_at_the_next_look(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "a.toml").write_text(GOOD)
    shelf = Shelf(str(tmp_path), MINE, clock)

    def names_later() -> list[str]:
        clock.now += LOOK_EVERY
        return [app.name for app in shelf.current().applications]

    (tmp_path / "b.toml").write_text(GOOD)
    assert [app.name for app in shelf.current().applications] == ["a"]
    assert names_later() == ["a", "b"]
    (tmp_path / "a.toml").write_text("title = ")
    assert names_later() == ["b"]
    (tmp_path / "a.toml").write_text(GOOD.replace("Good", "Better"))
    assert names_later() == ["a", "b"]
    (tmp_path / "b.toml").unlink()
    assert names_later() == ["a"]
    (tmp_path / "a.toml").chmod(0o666)
    assert names_later() == []


def test_nothing_is_read_again_without_a_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    (tmp_path / "a.toml").write_text("title = ")
    shelf = Shelf(str(tmp_path), MINE, clock)
    before = shelf.current()
    for _ in range(5):
        clock.now += LOOK_EVERY
        assert shelf.current() is before
    assert len(caplog.messages) == 1
