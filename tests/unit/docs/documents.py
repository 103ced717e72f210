"""Reads the project's pages: links, headings, tables, commands and names of tests in Markdown."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Not part of the project: the version control's own, caches, and what is built or downloaded.
_SKIPPED = re.compile(r"\.git|\..*_cache|\.venv|__pycache__|node_modules|artefacts|build|dist")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]+`")
_TEST_NAME = re.compile(r"\btests/[\w/]+\.py(?:::\w+)+")
_COMMENT = re.compile(r"\s{2,}#.*$")


def files(suffix: str = "") -> Iterator[Path]:
    """Every file of the clone whose name ends like that."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not _SKIPPED.fullmatch(name))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(suffix))


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def pages_with_commands() -> list[Path]:
    """README.md and the pages of docs/, whose commands are run by the system tests."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[str]:
    """Each command in a block marked sh, once, without its comment."""
    found: dict[str, None] = {}
    for page in pages_with_commands():
        for language, block in _FENCE.findall(page.read_text("utf-8")):
            lines = [_COMMENT.sub("", line).strip() for line in block.splitlines()]
            found |= dict.fromkeys(line for line in lines if language == "sh" and line)
    return list(found)


def prose(text: str) -> str:
    """A page without blocks and code: where links are links."""
    return _CODE.sub("", _FENCE.sub("", text))


def relative_links(page: Path) -> list[str]:
    links = _LINK.findall(prose(page.read_text("utf-8")))
    return [link for link in links if "://" not in link and not link.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """The fragments that lead to a heading, as code hosting sites make them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(text: str, heading: str) -> str:
    """What stands under a heading, with the headings below it. Fails without such a heading."""
    level = heading.partition(" ")[0]
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^#{{1,{len(level)}}} ", text[start:], re.MULTILINE)
    return text[start : start + end.start()] if end else text[start:]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = [index for index, line in enumerate(lines) if set(line) <= set("|-: ")]
    heads = {index - 1 for index in rules}
    body = [line for index, line in enumerate(lines) if index not in heads.union(rules)]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in body]


def names_in(cell: str) -> list[str]:
    """What stands between back-ticks."""
    return [code.strip("`").strip() for code in _CODE.findall(cell)]


def test_names(text: str) -> list[str]:
    return _TEST_NAME.findall(text)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def is_test(name: str) -> bool:
    """Whether `tests/file.py::function` or `tests/file.py::Class::method` exists."""
    file, *inside = name.split("::")
    if not (ROOT / file).is_file():
        return False
    body: list[ast.stmt] = tree(ROOT / file).body
    for part in inside:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        found = [node for node in body if isinstance(node, kinds) and node.name == part]
        if not found:
            return False
        body = found[0].body
    return inside[-1].startswith("test_")
