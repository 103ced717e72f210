"""The pages say what the code says: each setting, option, refusal, command and test by its name."""

from __future__ import annotations

import argparse
import ast
import json
import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest
from tests.unit.docs import documents
from tests.unit.docs.documents import ROOT

from unixspawner import metrics
from unixspawner_admin import cli, options
from unixspawner_mediator import limits
from unixspawner_mediator.config import Config
from unixspawner_mediator.limits import Limits
from unixspawner_mediator.protocol import CODE
from unixspawner_singleuser import catalogue_keys

ADMINISTRATORS = documents.read("docs/administrators.md")
DEVELOPERS = documents.read("docs/developers.md")
TOLD = documents.section(ADMINISTRATORS, "## What people are told, why, and the cure")
COMMANDS_TEST = ROOT / "tests/system/test_documented_commands.py"


# docs/administrators.md


def installer_options() -> list[str]:
    actions = options._parser()._actions
    shown = [action for action in actions if action.help != argparse.SUPPRESS]
    return sorted(name for action in shown for name in action.option_strings if name != "-h")


@pytest.mark.parametrize("option", [name for name in installer_options() if name != "--help"])
def test_every_option_of_the_installer_is_described(option: str) -> None:
    table = documents.rows(documents.section(ADMINISTRATORS, "### Options"))
    described = {name.split()[0] for row in table for name in documents.names_in(row[0])}
    assert option in described


def test_the_defaults_of_the_options_are_the_ones_described() -> None:
    table = documents.rows(documents.section(ADMINISTRATORS, "### Options"))
    told = {documents.names_in(row[0])[0].split()[0]: row[1] for row in table}
    described = ("bind", "port", "base_url", "users_group", "admins_group", "hub_account")
    for name in (*described, "idle_hours"):
        default = getattr(options.Options(), name)
        assert told[f"--{name.replace('_', '-')}"] == f"`{default}`"


def test_exactly_the_settings_of_mediator_toml_are_described() -> None:
    table = documents.rows(documents.section(ADMINISTRATORS, "## mediator.toml"))
    assert {documents.names_in(row[0])[0] for row in table} == set(Config._fields)


def test_the_defaults_of_mediator_toml_are_the_ones_described() -> None:
    table = documents.rows(documents.section(ADMINISTRATORS, "## mediator.toml"))
    told = {documents.names_in(row[0])[0]: row[1] for row in table}
    for name in Config._fields:
        default = Config._field_defaults.get(name)
        if default is None:
            assert told[name] == "*must be set*"
        else:
            assert told[name].strip('`"').startswith(str(default or "none"))


def test_exactly_the_keys_of_limits_toml_are_described() -> None:
    table = documents.rows(documents.section(ADMINISTRATORS, "## Limits"))
    assert {documents.names_in(row[0])[0] for row in table} == set(Limits._fields)


def test_the_example_of_limits_toml_is_one() -> None:
    text = documents.section(ADMINISTRATORS, "## Limits").partition("```toml\n")[2]
    file = limits.parse(tomllib.loads(text.partition("```")[0]))
    assert file.users["alice"].memory == math.inf
    assert limits.limits_for(file, "bob", ["students", "staff"]).memory == 32 * 2**30


def configurable_traits(path: Path) -> Iterator[tuple[str, str]]:
    """(class, trait) from the syntax tree, so that no hub has to be importable."""
    classes = [node for node in documents.tree(path).body if isinstance(node, ast.ClassDef)]
    for owner, node in [(each, node) for each in classes for node in each.body]:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            given = {keyword.arg for keyword in node.value.keywords}
            target = node.targets[0]
            if "config" in given and isinstance(target, ast.Name):
                yield owner.name, target.id


TRAITS = [
    pair
    for path in sorted((ROOT / "spawner/unixspawner").glob("*.py"))
    for pair in configurable_traits(path)
]


OWNERS = ["UnixAuthenticator", "UnixHub", "UnixProxy", "UnixSpawner"]


@pytest.mark.parametrize("name", OWNERS)
def test_exactly_our_traits_are_described(name: str) -> None:
    table = documents.rows(documents.section(ADMINISTRATORS, f"### Traits of {name}"))
    described = [documents.names_in(row[0])[0] for row in table]
    assert sorted(described) == sorted(trait for owner, trait in TRAITS if owner == name)


def test_all_traits_belong_to_these_classes() -> None:
    assert {owner for owner, _ in TRAITS} == set(OWNERS)


def test_exactly_the_keys_of_an_application_are_described() -> None:
    table = documents.rows(documents.section(ADMINISTRATORS, "## Applications: apps.d"))
    assert {documents.names_in(row[0])[0] for row in table} == catalogue_keys.KEYS


@pytest.mark.parametrize("name", sorted(cli.main.commands))
def test_every_subcommand_is_described(name: str) -> None:
    assert [line for line in documents.commands() if line.split()[:2] == ["unixspawner", name]]


def figures() -> set[str]:
    """The names of our own, as Prometheus gets them."""
    described = REGISTRY.collect()
    names = (f"{each.name}_total" if each.type == "counter" else each.name for each in described)
    return {name for name in names if name.startswith("unixspawner_")}


def test_exactly_our_figures_are_described() -> None:
    assert metrics.CODES  # loading it is what registers them
    table = documents.rows(documents.section(ADMINISTRATORS, "## Monitoring"))
    assert {documents.names_in(row[0])[0] for row in table} == figures()


def test_alerts_ask_for_figures_and_labels_that_there_are() -> None:
    text = documents.section(ADMINISTRATORS, "## Monitoring")
    asked = set(re.findall(r"\b(unixspawner_\w+)[{\[ ]", text))
    assert len(asked) > 3
    assert {name.removesuffix("_bucket") for name in asked} <= figures()
    codes = re.findall(r'code=~?"([^"]+)"', text)
    for pattern in "|".join(codes).split("|"):
        assert [code for code in metrics.CODES if re.fullmatch(pattern, code)], pattern
    for name, value in re.findall(r'(step|stage|outcome)="([^"]+)"', text):
        series = generate_latest(REGISTRY).decode()
        assert f'{name}="{value}"' in series


# What people are told


def sources() -> list[Path]:
    folders = ("mediator/unixspawner_mediator", "spawner/unixspawner")
    return [path for folder in folders for path in sorted((ROOT / folder).glob("*.py"))]


MESSAGES = ("Refusal", "AskError", "Sentence")


def codes_in(node: ast.AST) -> Iterator[str]:
    """The code in Refusal(code, …) and its kin, and where it stands beside its sentence."""
    values: list[ast.expr] = []
    if isinstance(node, ast.Dict):
        all_sentences = bool(node.values) and all(map(is_sentence, node.values))
        values = [key for key in node.keys if key is not None and all_sentences]
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MESSAGES:
        values = node.args[:1]
    elif isinstance(node, ast.Tuple) and len(node.elts) == 2 and is_sentence(node.elts[1]):
        values = node.elts[:1]
    for value in values:
        if isinstance(value, ast.Constant) and CODE.fullmatch(str(value.value)):
            yield str(value.value)


def is_sentence(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and " " in str(node.value)


def refusal_codes() -> set[str]:
    nodes = (node for path in sources() for node in ast.walk(documents.tree(path)))
    return {code for node in nodes for code in codes_in(node)}


def told_rows() -> list[list[str]]:
    return [row for row in documents.rows(TOLD) if row[0].startswith("`")]


def test_exactly_the_codes_of_refusals_are_described() -> None:
    assert len(refusal_codes()) > 20
    described = {code for row in told_rows() for code in documents.names_in(row[0])}
    assert described == refusal_codes()


def sentences() -> str:
    """All texts of the code, with an ellipsis where something is filled in."""
    texts = []
    for path in sources():
        for node in ast.walk(documents.tree(path)):
            if isinstance(node, ast.JoinedStr):
                parts = [getattr(part, "value", "") for part in node.values]
                texts.append("".join(p if isinstance(p, str) else "…" for p in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_the_sentences_are_those_of_the_code() -> None:
    code = sentences()
    pieces = [
        piece.strip(" .)")
        for row in told_rows()
        if row[1] not in ("the same", "as above", "as below")
        for piece in re.split(r"…|/|\(reason\)|\. ", row[1])
    ]
    assert len(pieces) > 20
    assert [piece for piece in pieces if piece not in code] == []


# docs/threats.md, and test names on all pages


@pytest.mark.parametrize(
    "page", documents.pages_with_commands(), ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = documents.test_names(page.read_text("utf-8"))
    assert [name for name in named if not documents.is_test(name)] == []


def test_every_threat_has_a_test_or_says_why_not() -> None:
    page = documents.read("docs/threats.md")
    for heading, cells in (("## What broke others", 4), ("## What an intruder would try here", 3)):
        table = documents.rows(documents.section(page, heading))
        assert len(table) > 20, heading
        for row in table:
            assert (len(row), all(row)) == (cells, True), row[0]
            later = row[-1].startswith("not applicable yet: ")
            assert later != bool(documents.test_names(row[-1])), row[0]


def test_each_promise_has_tests() -> None:
    promised = re.findall(r"^(\d)\. ", documents.section(DEVELOPERS, "### Promises"), re.MULTILINE)
    files = (ROOT / "tests/system").glob("test_*.py")
    marks = r"^@pytest\.mark\.promise\((\d)\)$"
    held = {n for path in files for n in re.findall(marks, path.read_text("utf-8"), re.MULTILINE)}
    assert promised == sorted(held) != []


def test_a_name_that_does_not_exist_is_noticed() -> None:
    assert documents.is_test(
        "tests/unit/docs/test_docs.py::test_every_threat_has_a_test_or_says_why_not"
    )
    assert not documents.is_test("tests/unit/docs/test_docs.py::test_no_such_test")
    assert not documents.is_test("tests/unit/docs/no_such_file.py::test_x")
    assert not documents.is_test("tests/unit/docs/test_docs.py::refusal_codes")


# Links, dependencies, commands


@pytest.mark.parametrize(
    "page", list(documents.files(".md")), ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in documents.relative_links(page):
        target, _, fragment = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (fragment and fragment not in documents.anchors(path)):
            dead.append(link)
    assert dead == []


def direct_dependencies() -> set[str]:
    project = tomllib.loads(documents.read("pyproject.toml"))
    python = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    lines = documents.read("tests/requirements.in").splitlines()
    python += [line for line in lines if line and not line.startswith(("#", "-"))]
    node = json.loads(documents.read("config/node/package.json"))["dependencies"]
    return {re.split(r"[<>=~! \[]", name)[0] for name in python} | set(node)


def test_every_direct_dependency_has_a_reason() -> None:
    table = documents.rows(documents.section(DEVELOPERS, "## Dependencies"))
    reasons = {name: row[1] for row in table for name in documents.names_in(row[0])}
    assert {name for name, reason in reasons.items() if reason} >= direct_dependencies()


def keys_of(name: str) -> dict[str, ast.expr]:
    """The keys of a dictionary in the module that runs the commands, from its syntax tree."""
    for node in documents.tree(COMMANDS_TEST).body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == name:
            assert isinstance(node.value, ast.Dict)
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return {ast.literal_eval(key): value for key, value in pairs if key is not None}
    raise AssertionError(f"{COMMANDS_TEST} has no table {name}")


def test_exactly_the_commands_of_the_pages_are_run() -> None:
    here, elsewhere = keys_of("RUN_HERE"), keys_of("RUN_ELSEWHERE")
    assert not here.keys() & elsewhere.keys()
    assert sorted([*here, *elsewhere]) == sorted(documents.commands())


def test_what_is_run_elsewhere_names_a_test_that_exists() -> None:
    names = [ast.literal_eval(value) for value in keys_of("RUN_ELSEWHERE").values()]
    assert [name for name in names if not documents.is_test(name)] == []


# Taken apart, so that this file does not name them itself.
REGISTRIES = [
    "".join(parts)
    for parts in (
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("registry.npm", "js.org"),
        ("registry.yarn", "pkg.com"),
        ("deb.", "debian.org"),
        ("proxy.go", "lang.org"),
        ("static.crates", ".io"),
    )
]


def test_no_file_names_a_registrys_host() -> None:
    """Where packages come from is the machine's own affair: mirrors and proxies must work."""
    found = [
        (str(path.relative_to(ROOT)), host)
        for path in documents.files()
        for host in REGISTRIES
        if host.encode() in path.read_bytes()
    ]
    assert found == []
