"""The command's face: its manual page, its help, and what shells offer after Tab."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from unixspawner_admin import running
from unixspawner_admin.cli import main
from unixspawner_admin.commands import completion
from unixspawner_admin.running import Process, Server

ROOT = Path(__file__).parents[3]
MANUAL = (ROOT / "config/man/unixspawner.8").read_text("utf-8")
COMMANDS = sorted(main.commands)


def options_of(command: click.Command) -> Iterator[click.Option]:
    shown = (each for each in command.params if isinstance(each, click.Option))
    yield from (each for each in shown if not each.hidden)


def section(name: str) -> str:
    """What the manual page says of one command, below its entry."""
    entries = re.split(r"^\.It Cm (\w+)", MANUAL, flags=re.MULTILINE)
    return dict(zip(entries[1::2], entries[2::2], strict=True))[name]


def flags_in(text: str) -> set[str]:
    """Those that have an entry: `.It Fl n , -lines Ar number` has -n and --lines."""
    lines = re.findall(r"^\.It Fl (.*)$", text, re.MULTILINE)
    words = [word for line in lines for word in line.partition(" Ar ")[0].split()]
    return {f"-{word}" for word in words if word != ","}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_manual_page_has_exactly_the_options_of_a_command(name: str) -> None:
    known = {word for option in options_of(main.commands[name]) for word in option.opts}
    assert flags_in(section(name)) == known - {"-h", "--help"}


def test_the_manual_page_has_exactly_the_commands() -> None:
    assert sorted(re.findall(r"^\.It Cm (\w+)", MANUAL, re.MULTILINE)) == COMMANDS


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man")
def test_the_manual_page_is_one() -> None:
    words = ["man", "--warnings", "-l", str(ROOT / "config/man/unixspawner.8")]
    environment = {"PATH": os.environ["PATH"], "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "unixspawner drain [message ...]" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_reads_well_and_fits_80_columns(name: str) -> None:
    context = click.Context(main.commands[name], info_name=f"unixspawner {name}")
    context.max_content_width = 80
    text = main.commands[name].get_help(context)
    assert max(map(len, text.splitlines())) <= 80
    for option in options_of(main.commands[name]):
        assert option.name == "help" or (option.help or "").endswith("."), option.name


def complete(shell: str, line: str) -> list[str]:
    """What the command itself answers a shell."""
    words = line.split(" ")
    environment = {
        "PYTHONPATH": f"{ROOT}/admin:{ROOT}/mediator",
        "PYTHONDONTWRITEBYTECODE": "1",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_UNIXSPAWNER_COMPLETE": f"{shell}_complete",
    }
    command = [sys.executable, "-m", "unixspawner_admin"]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return out.stdout.splitlines()


def test_commands_and_options_are_offered() -> None:
    assert complete("bash", "unixspawner ") == [f"plain,{name}" for name in main.commands]
    assert complete("bash", "unixspawner dr") == ["plain,drain"]
    assert "plain,--follow" in complete("bash", "unixspawner logs --f")


EVIL = ["$(id)", "a b", "`id`", "-x", "a;b", "a'b", "\n", "é", ""]


def test_no_name_is_offered_that_a_shell_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What root gets after Tab comes from people's processes, and root presses Enter next."""

    def server(name: str, application: str) -> Server:
        environment = {"UNIXSPAWNER_APPLICATION": f"{application}:0f"}
        return Server("alice", name, "0" * 32, (Process(1, 0, 1000, 1, 1, environment),))

    found = [server(name, name) for name in (*EVIL, "lab", "notes")]
    monkeypatch.setattr(running, "servers", lambda: found)
    context = click.Context(main.commands["logs"])
    context.params["name"] = "alice"
    parameter = main.commands["logs"].params[0]
    assert completion.complete_server(context, parameter, "") == ["lab", "notes"]
    assert completion.complete_application(context, parameter, "") == ["lab", "notes"]
    context.params["name"] = "bob"
    assert completion.complete_server(context, parameter, "") == []


# The three shells, each with our own file and a command that answers as ours does.


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which `unixspawner` is this clone's."""
    script = tmp_path / "unixspawner"
    line = (
        f'PYTHONPATH={ROOT}/admin:{ROOT}/mediator exec {sys.executable} -m unixspawner_admin "$@"'
    )
    script.write_text(f"#!/bin/sh\nexport PYTHONDONTWRITEBYTECODE=1\n{line}\n")
    script.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def shell(path: str, *words: str) -> list[str]:
    done = subprocess.run(words, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_bash_completes(path: str) -> None:
    script = """
    . "$1"; complete -p unixspawner
    COMP_WORDS=(unixspawner s) COMP_CWORD=1
    _unixspawner; printf '%s\\n' "${COMPREPLY[@]}"
    """
    file = str(ROOT / "config/completion/unixspawner.bash")
    assert shell(path, "bash", "--norc", "-c", script, "bash", file) == [
        "complete -F _unixspawner unixspawner",
        "status",
        "stop",
    ]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_zsh_completes(path: str) -> None:
    script = """
    _describe() { print -l -- "${(@P)3}" }
    complete_it() { local -a words=(unixspawner s); local CURRENT=2; source "$1" }
    complete_it "$1"
    """
    file = str(ROOT / "config/completion/_unixspawner")
    found = shell(path, "zsh", "-fc", script, "zsh", file)
    assert [line.partition(":")[0] for line in found] == ["status", "stop"]
    assert all(line.partition(":")[2] for line in found)


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
def test_fish_completes(path: str) -> None:
    file = str(ROOT / "config/completion/unixspawner.fish")
    script = f"source {file}; complete -C 'unixspawner s'"
    found = shell(path, "fish", "--no-config", "-c", script)
    assert [line.partition("\t")[0] for line in found] == ["status", "stop"]
