"""The installer's run: what a dry run says, and that it does nothing."""

from pathlib import Path

import pytest

from unixspawner_admin import demo, install, system
from unixspawner_admin.changes import Change
from unixspawner_admin.context import Context
from unixspawner_admin.manifest import Manifest
from unixspawner_admin.options import Options, Run


def make_context(run: Run, options: Options | None = None) -> Context:
    record = Manifest(Path("/nonexistent/manifest.json"))
    return Context(options or Options(), run, Path("/src"), Path("/release"), record)


def test_a_dry_run_says_and_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    step = install.Step("Files", lambda _: [Change("create /x", lambda: done.append("x"))])
    assert install._do(make_context(Run(dry_run=True)), 3, step)
    assert done == []
    assert capsys.readouterr().out == "[3/9] Files: \n      would create /x\n"


def test_a_run_says_and_does(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    step = install.Step("Files", lambda _: [Change("create /x", lambda: done.append("x"))])
    assert install._do(make_context(Run()), 3, step)
    assert done == ["x"]
    assert capsys.readouterr().out == "[3/9] Files: \n      create /x\n"


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert not install._do(make_context(Run()), 1, install.Step("Files", lambda _: []))
    assert capsys.readouterr().out == "[1/9] Files: nothing to do\n"


class TestDemoPerson:
    """Made when nobody of that name is there; otherwise left alone."""

    def test_is_made_on_request_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "uid_of", lambda name: None)
        record = Manifest(Path("/nonexistent/manifest.json"))
        assert demo.plan(Options(), record, "secret") == []
        planned = demo.plan(Options(demo=True), record, "secret")
        assert len(planned) == 1
        assert "secret" not in planned[0].text

    def test_an_existing_one_is_not_adopted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(system, "uid_of", lambda name: 1000)
        record = Manifest(Path("/nonexistent/manifest.json"))
        assert demo.plan(Options(demo=True), record, "secret") == []
        assert "usermod -aG" in demo.what_to_say(Options(demo=True), record, None)

    def test_passwords_are_random_and_legible(self) -> None:
        first, second = demo.make_password(), demo.make_password()
        assert first != second
        assert len(first) == 19
        assert not set(first) & set("0O1lI")
