"""Which tests run here: those that need a machine of their own run only when one is named.

`pytest` alone runs what needs nothing, and says what it left out and why; with a virtual machine of
vagrant/Vagrantfile running (`vagrant up`) it runs the system and browser tests against that one.
`--host local` says that this machine, as root, may be changed by tests: accounts are made and the
service is installed.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from tests.system import machines

pytest_plugins = ["tests.system.fixtures"]

HERE = Path(__file__).parent
MACHINE_NEEDED = "a virtual machine (vagrant up) or root on a throw-away machine"
# Folder of tests: what it needs.
NEEDS = {
    "system": f"{MACHINE_NEEDED}: sudo tests/run system",
    "browser": f"Chromium, and {MACHINE_NEEDED}: sudo tests/run browser",
    "peers": "JupyterHub's own test files and a non-root account: sudo tests/run peers",
}
LAST = "last"
_left_out: pytest.StashKey[Counter[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--host",
        choices=machines.CHOICES,
        default="auto",
        help="machine for the system and browser tests: 'local' is this one, as root; 'vm' is the "
        "virtual machine that runs, which is also what is taken without this option; or its name",
    )


def pytest_configure(config: pytest.Config) -> None:
    for folder, needs in NEEDS.items():
        config.addinivalue_line("markers", f"{folder}: needs {needs}")
    config.addinivalue_line("markers", "promise(number): of docs/developers.md")
    config.addinivalue_line("markers", f"{LAST}: takes the service away; runs after all others")
    config.stash[_left_out] = Counter()
    if config.getoption("--host") == machines.THIS and os.geteuid() != 0:
        raise pytest.UsageError("--host local makes accounts and runs the installer: it needs root")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The peers' files are JupyterHub's; they have a runner and a configuration of their own."""
    if collection_path != HERE / "peers":
        return None
    asked_for = {(config.invocation_params.dir / argument).resolve() for argument in config.args}
    config.stash[_left_out]["peers"] = int(bool(asked_for & {HERE, HERE.parent}))
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in NEEDS:
            item.add_marker(folder)
    if any(item.get_closest_marker(folder) for item in items for folder in ("system", "browser")):
        config.stash[machines.CHOSEN] = machines.choose(str(config.getoption("--host")))
        if config.stash[machines.CHOSEN] == machines.NONE:
            _leave_out(config, items)
    items.sort(key=lambda item: item.get_closest_marker(LAST) is not None)


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    def folder_of(item: pytest.Item) -> str | None:
        return next((folder for folder in NEEDS if item.get_closest_marker(folder)), None)

    left_out = [item for item in items if folder_of(item) is not None]
    if left_out:
        config.stash[_left_out].update(str(folder_of(item)) for item in left_out)
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if folder_of(item) is None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = +terminalreporter.config.stash[_left_out]  # the plus drops zeroes
    for folder, count in sorted(left_out.items()):
        amount = "all tests" if folder == "peers" else f"{count} tests"
        terminalreporter.write_line(
            f"left out: {amount} of tests/{folder}, which need {NEEDS[folder]}"
        )
