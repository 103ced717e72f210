"""Tables, words and what reaches a terminal. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from unixspawner_admin import tables, terminal, wording
from unixspawner_admin.findings import Finding, judge
from unixspawner_admin.tables import Column

NOW = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
COLUMNS = (Column("NAME", least=4), Column("SIZE", to_the_right=True), Column("NOTES", least=5))


def test_a_table_is_as_wide_as_its_longest_cells() -> None:
    rows = [["alice", "1", "x"], ["bo", "100", "a note"]]
    assert tables.layout(COLUMNS, rows, None) == [
        "NAME   SIZE  NOTES",
        "alice     1  x",
        "bo      100  a note",
    ]


def test_the_widest_columns_give_way_first() -> None:
    rows = [["alice", "1000", "a note that is much too long"]]
    (_, line) = tables.layout(COLUMNS, rows, 24)
    assert line == "alice  1000  a note tha…"
    (_, line) = tables.layout(COLUMNS, rows, 18)
    assert line == "alic…  1000  a no…"[:0] + line  # the least of each column stays
    assert len(line) <= 18


def test_what_may_not_be_cut_is_not_cut() -> None:
    columns = (Column("A"), Column("B"))
    assert tables.layout(columns, [["x" * 30, "y"]], 10)[1] == "x" * 30 + "  y"


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [("short", 5, "short"), ("longer", 5, "long…"), ("日本語", 5, "日本…"), ("é" * 6, 5, "éééé…")],
)
def test_a_cut_is_marked_and_counts_columns(text: str, limit: int, shown: str) -> None:
    assert terminal.cut(text, limit) == shown
    assert terminal.columns_of(shown) <= limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("café 日本", "café 日本"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\rb"),
        ("a\r\nb", "a\nb"),
        ("\u202eevil", "\\u202eevil"),
        ("\x1b[" + "1" * 50 + "m", "\\x1b[" + "1" * 50 + "m"),
    ],
)
def test_what_others_wrote_does_no_harm(text: str, shown: str) -> None:
    assert terminal.harmless(text) == shown


def test_one_line_is_one_line_of_bounded_length() -> None:
    assert terminal.one_line("a\nb") == "a\\nb"
    assert terminal.one_line("x" * 300) == "x" * 200 + "…"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0.0 KB"), (1536, "1.5 KB"), (40 * 2**20, "40 MB"), (1023 * 2**20, "1.0 GB")],
)
def test_octets(number: int, shown: str) -> None:
    assert wording.octets(number) == shown


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=2), "now"),
        (timedelta(seconds=30), "30 s"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(minutes=119), "119 min"),
        (timedelta(hours=5), "5 h"),
        (timedelta(days=3), "3 d"),
        (timedelta(seconds=-5), "now"),
    ],
)
def test_how_long_ago(ago: timedelta, shown: str) -> None:
    assert wording.ago(NOW - ago, NOW) == shown


def test_moments() -> None:
    assert wording.moment(NOW - timedelta(hours=3), NOW) == "14:30"
    assert wording.moment(NOW - timedelta(days=1), NOW) == "Thu 17:30"
    assert wording.moment(NOW - timedelta(days=30), NOW) == "2026-10-21"
    assert wording.moment(None, NOW) == "-"


def test_a_finding_is_a_line_and_its_cure_another() -> None:
    right = judge(True, "all is well", "nothing")
    wrong = judge(False, "all is well", "do this", wrong="all is lost")
    unsure = judge(False, "all is well", "do this", "warning")
    assert right.shown(80) == "ok      all is well"
    assert wrong.shown(80) == "failure all is lost\n        cure: do this"
    assert unsure.shown(80) == "warning not so: all is well\n        cure: do this"
    assert [each.is_failure for each in (right, wrong, unsure)] == [False, True, False]


def test_a_long_finding_is_wrapped_and_its_cure_is_not() -> None:
    finding = Finding("failure", "words " * 30, "command " * 30)
    *lines, cure = finding.shown(40).split("\n")
    assert max(map(len, lines)) <= 40
    assert cure == "        cure: " + "command " * 30
    assert re.fullmatch(r"failure words.*", lines[0])
