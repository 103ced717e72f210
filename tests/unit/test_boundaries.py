"""A folder is a trust domain: what its code may import is enforced here, from the syntax tree."""

import ast
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[2]
STANDARD = set(sys.stdlib_module_names)

# component root -> (its package, third-party packages, modules of ours that it may use)
ALLOWED: dict[str, tuple[str, set[str], set[str]]] = {
    "spawner": (
        "unixspawner",
        {
            "jupyterhub",
            "jupyterhub_idle_culler",
            "prometheus_client",
            "sudospawner",
            "tornado",
            "traitlets",
        },
        # the words that both sides exchange, the sentences that both say, and how to ask the
        # machine's name service: docs/adr/0015 and 0016; and limits.toml, whose profiles the hub
        # offers: docs/adr/0027
        {
            "unixspawner_mediator.config",
            "unixspawner_mediator.limits",
            "unixspawner_mediator.protocol",
            "unixspawner_mediator.sentences",
            "unixspawner_mediator.name_service",
            "unixspawner_mediator.each_service",
        },
    ),
    "mediator": ("unixspawner_mediator", set(), set()),
    "singleuser": (
        "unixspawner_singleuser",
        {"fastapi", "starlette", "uvicorn", "httpx", "httptools", "uvloop"},
        set(),
    ),
    "backend": ("unixspawner_backend", {"fastapi", "starlette", "uvicorn"}, set()),
    "admin": ("unixspawner_admin", {"click"}, {"unixspawner_mediator"}),
}
# Single files with a freedom of their own, and why.
ALLOWED_IN_FILE = {
    # the two questions that PAM is asked; both are in `authenticate` alone
    "mediator/unixspawner_mediator/authenticate.py": {"pamela"},
    "mediator/unixspawner_mediator/examine.py": {"pamela"},
    "admin/unixspawner_admin/checks/tls.py": {"cryptography"},  # it is the one that reads dates
    "singleuser/unixspawner_singleuser/__main__.py": {"pydantic"},  # keeps FastAPI from building
}


def modules() -> Iterator[pathlib.Path]:
    for component in ALLOWED:
        yield from sorted((ROOT / component).rglob("*.py"))


def imported(path: pathlib.Path, package: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield package


def permitted(name: str, path: pathlib.Path) -> bool:
    relative = path.relative_to(ROOT).as_posix()
    package, third_party, ours = ALLOWED[relative.partition("/")[0]]
    top = name.partition(".")[0]
    if top in STANDARD or top == package or top in third_party:
        return True
    if top in ALLOWED_IN_FILE.get(relative, set()):
        return True
    return any(name == module or name.startswith(f"{module}.") for module in ours)


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_trust_domain_may(path: pathlib.Path) -> None:
    package = ALLOWED[path.relative_to(ROOT).parts[0]][0]
    assert [name for name in imported(path, package) if not permitted(name, path)] == []


def test_every_component_root_holds_one_package_and_no_module_of_its_own() -> None:
    for component, (package, _, _) in ALLOWED.items():
        assert (ROOT / component / package / "__init__.py").is_file()
        assert not (ROOT / component / "__init__.py").exists()


def test_the_rule_bites() -> None:
    mediator = ROOT / "mediator/unixspawner_mediator/start.py"
    hub = ROOT / "spawner/unixspawner/client.py"
    assert not permitted("jupyterhub.spawner", mediator)
    assert not permitted("pamela", mediator)
    assert not permitted("unixspawner_mediator.policy", hub)
    assert not permitted("unixspawner.client", mediator)
    assert permitted("unixspawner_mediator.protocol.decode_reply", hub)


def test_the_hub_builds_no_grammar_when_it_starts() -> None:
    """Half of its start, for a format that nothing here checks; why, in docs/developers.md."""
    asked = "import sys, jupyterhub.app; print('rfc3987_syntax' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)
    assert answer.stdout == b"False\n"


def test_a_server_builds_no_schemas_of_openapi_when_it_starts() -> None:
    asked = (
        "import unixspawner_singleuser.__main__, fastapi.openapi.models as models;"
        "print(models.OpenAPI.__pydantic_complete__)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT / "singleuser", capture_output=True, check=True
    )
    assert answer.stdout == b"False\n"
