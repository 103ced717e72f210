"""`--check-apps`, as an administrator and `unixspawner doctor` run it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.singleuser.test_serve import SOURCE

from unixspawner_singleuser.checking import Finding, examine

MINE = frozenset({os.getuid()})
COMMAND = 'title = "X"\ncommand = ["{program}", "{{socket}}"]\n'


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = ["-m", "unixspawner_singleuser", "--check-apps", "--apps", str(directory), *arguments]
    environment = {"PYTHONPATH": str(SOURCE), "PATH": os.defpath}
    return subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True)


def found(directory: Path) -> list[tuple[str, str]]:
    findings = list(examine(str(directory), MINE))
    return [(each.level, each.text.replace(f"{directory}/", "")) for each in findings]


def test_each_file_has_a_line_and_a_failure_an_exit_status(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(COMMAND.format(program="/bin/sh"))
    result = run(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"ok      {tmp_path}/good.toml: X, starts /bin/sh\n"
    (tmp_path / "bad.toml").write_text('title = "X"\nport = 1\n')
    result = run(tmp_path)
    assert (result.returncode, result.stderr) == (1, "")
    bad = f"failure {tmp_path}/bad.toml, line 2: unknown key 'port'"
    assert result.stdout.splitlines()[0] == f"{bad}: correct it; until then it is left out"


def test_programs_get_json(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("title = \n")
    result = run(tmp_path, "--json")
    assert result.returncode == 1
    (finding,) = json.loads(result.stdout)
    assert set(finding) == {"level", "text", "cure"}
    assert finding["level"] == "failure"


def test_a_directory_that_is_not_there_is_nothing_wrong(tmp_path: Path) -> None:
    assert list(examine(str(tmp_path / "none"), MINE)) == []


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/bin/sh", []),
        ("sh", []),
        ("{home}/bin/x", []),
        (
            "no-such-program",
            [("warning", "no-such-program is not in /usr/local/bin:/usr/bin:/bin")],
        ),
        (
            "/no/such",
            [("failure", "the program /no/such cannot run (No such file or directory)")],
        ),
        ("/etc/passwd", [("failure", "/etc/passwd is not a program")]),
        ("/tmp", [("failure", "/tmp is not a program")]),
    ],
)
def test_the_program_is_looked_for(
    tmp_path: Path, program: str, expected: list[tuple[str, str]]
) -> None:
    text = COMMAND.replace("{program}", program).replace("{{socket}}", "{socket}")
    (tmp_path / "a.toml").write_text(text)
    faults = [(level, text.removeprefix("a.toml: ")) for level, text in found(tmp_path)]
    is_ok = all(level != "failure" for level, _ in expected)
    assert faults == [("ok", f"X, starts {program}")] * is_ok + expected


def test_what_does_not_answer_is_a_warning(tmp_path: Path, directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (tmp_path / "a.toml").write_text(f'title = "A"\nurl = "http://127.0.0.1:{port}"\n')
        assert found(tmp_path) == [("ok", f"a.toml: A, at 127.0.0.1:{port}")]
    place = directory / "x.sock"
    (tmp_path / "b.toml").write_text(f'title = "B"\nsocket = "{place}"\n')
    warnings = [text for level, text in found(tmp_path) if level == "warning"]
    assert warnings == [
        f"a.toml: nothing answers at 127.0.0.1:{port} (Connection refused)",
        f"b.toml: nothing answers at {place} (No such file or directory)",
    ]
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(place))
        unix.listen()
        assert found(tmp_path)[-1] == ("ok", f"b.toml: B, at {place}")


def test_groups_icons_and_directories_are_looked_for(tmp_path: Path) -> None:
    text = COMMAND.format(program="/bin/sh") + (
        'groups = ["root", "no-such-group"]\nicon = "x.svg"\ndirectory = "/no/such"\n'
    )
    (tmp_path / "a.toml").write_text(text)
    findings = list(examine(str(tmp_path), MINE))
    assert [finding.level for finding in findings] == ["ok", "warning", "warning", "warning"]
    path = f"{tmp_path}/x.svg"
    assert findings[1].text.endswith(f"its icon {path} cannot be read (No such file or directory)")
    assert findings[2].text.endswith("there is no group no-such-group")
    assert findings[3].text.endswith("the directory /no/such does not exist")
    (tmp_path / "x.svg").write_text("<svg/>")
    (tmp_path / "x.svg").chmod(0o666)
    (finding,) = (each for each in examine(str(tmp_path), MINE) if "its icon" in each.text)
    assert finding.text.endswith(
        f"its icon {path} is not shown: others than its owner may write it"
    )


def test_a_line_is_level_text_and_cure() -> None:
    assert Finding("warning", "a", "b").line == "warning a: b"
    assert Finding("ok", "a").line == "ok      a"
