"""The privileged programs as single files: the same bytes each time, and no more than needed."""

import subprocess
import zipfile
from pathlib import Path

from unixspawner_admin import zipapps

SOURCE = Path(__file__).parents[3] / "mediator"
KNOWN = zipapps.known(b"umask = '0027'\n")


def names(tmp_path: Path, content: bytes) -> set[str]:
    path = tmp_path / "app"
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return set(archive.namelist())


def test_the_same_sources_give_the_same_bytes() -> None:
    assert zipapps.mediator(SOURCE, KNOWN) == zipapps.mediator(SOURCE, KNOWN)


def test_what_the_installer_writes_is_read_already(tmp_path: Path) -> None:
    path = tmp_path / "mediator"
    path.write_bytes(zipapps.mediator(SOURCE, KNOWN))
    program = "import sys; sys.path.insert(0, sys.argv[1]); from unixspawner_mediator import config"
    program += "; print(config.TABLES)"
    command = ["/usr/bin/python3", "-IS", "-c", program, str(path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert eval(shown) == {b"umask = '0027'\n": {"umask": "0027"}}


def test_the_mediator_cannot_check_passwords(tmp_path: Path) -> None:
    found = names(tmp_path, zipapps.mediator(SOURCE, KNOWN))
    assert "unixspawner_mediator/start.py" in found
    modules = {name.rpartition("/")[2] for name in found if name.endswith(".py")}
    assert modules == {
        *("__init__.py", "__main__.py", "config.py", "errors.py", "home.py", "paths.py"),
        *(
            "known.py",
            "limits.py",
            "policy.py",
            "processes.py",
            "protocol.py",
            "sentences.py",
            "start.py",
            "stop.py",
            "system.py",
        ),
    }
    assert not {name for name in found if "pamela" in name}


def test_authenticate_carries_pamela(tmp_path: Path) -> None:
    found = names(tmp_path, zipapps.authenticate(SOURCE, KNOWN, b""))
    programs = {f"unixspawner_mediator/{name}.py" for name in ("authenticate", "examine", "shadow")}
    assert {"pamela.py", *programs} <= found


def test_session_limits_can_start_stop_and_check_nothing(tmp_path: Path) -> None:
    found = names(tmp_path, zipapps.session_limits(SOURCE, KNOWN))
    modules = {name.rpartition("/")[2] for name in found if name.endswith(".py")}
    assert modules == {
        *("__init__.py", "__main__.py", "config.py", "errors.py", "known.py", "limits.py"),
        *(
            "paths.py",
            "policy.py",
            "protocol.py",
            "sentences.py",
            "session_limits.py",
            "slices.py",
            "system.py",
        ),
    }


def test_session_limits_loads_from_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "session-limits"
    path.write_bytes(zipapps.session_limits(SOURCE, KNOWN))
    command = ["/usr/bin/python3", "-IS", str(path)]
    result = subprocess.run(command, env={"PAM_USER": "root"}, capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_it_runs_isolated_and_names_the_system_s_python(tmp_path: Path) -> None:
    content = zipapps.mediator(SOURCE, KNOWN)
    assert content.startswith(b"#!/usr/bin/python3 -IS\n")
    path = tmp_path / "mediator"
    path.write_bytes(content)
    command = ["/usr/bin/python3", "-IS", str(path), "dance"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "start or stop" in result.stderr
