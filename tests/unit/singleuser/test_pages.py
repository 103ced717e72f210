"""The skeleton of our pages and their look: nothing unescaped, nothing from elsewhere, readable."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.contrast import contrast

from unixspawner_singleuser import pages
from unixspawner_singleuser.markup import Html, element, join, text
from unixspawner_singleuser.pages import Frame, Link

HOSTILE = """<script>alert(1)</script>"'&"""
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;"
HUB_CSS = Path(__file__).resolve().parents[3] / "config/static/hub.css"


class TestMarkup:
    def test_text_is_escaped_and_markup_is_not(self) -> None:
        assert element("p", HOSTILE, Html("<b>x</b>")) == f"<p>{ESCAPED}<b>x</b></p>"
        assert join(HOSTILE, None, Html("<hr>")) == f"{ESCAPED}<hr>"

    def test_nothing_is_escaped_twice(self) -> None:
        assert element("p", element("b", text("<"))) == "<p><b>&lt;</b></p>"

    def test_attributes_cannot_be_left(self) -> None:
        assert element("a", href=HOSTILE) == f'<a href="{ESCAPED}"></a>'

    def test_attributes_have_the_names_of_html(self) -> None:
        made = element("img", class_="icon", aria_label="x", alt=True, id="", hidden=None)
        assert made == '<img class="icon" aria-label="x" alt="">'


class Found(HTMLParser):
    """Tags and the attributes of all of them, as a browser reads them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)


@pytest.fixture
def hostile_page() -> bytes:
    return pages.page(
        HOSTILE,
        HOSTILE,
        facts=[(HOSTILE, HOSTILE)],
        links=[Link(HOSTILE, HOSTILE, HOSTILE)],
        frame=Frame(HOSTILE, HOSTILE, HOSTILE, (Link(HOSTILE, HOSTILE),), unprotected=True),
    )


def test_every_argument_is_escaped(hostile_page: bytes) -> None:
    found = Found(hostile_page)
    assert "script" not in found.tags
    assert found.tags.count("html") == 1
    assert {value for name, value in found.attributes if name == "href"} == {HOSTILE, "#main"}
    assert hostile_page.decode().count(ESCAPED) == 13


def test_a_page_has_language_title_heading_and_landmarks(hostile_page: bytes) -> None:
    found = Found(hostile_page)
    assert ("lang", "en") in found.attributes
    for tag in ("title", "h1", "main", "header", "nav"):
        assert found.tags.count(tag) == 1, tag


def test_the_style_is_the_only_one_that_the_policy_allows(hostile_page: bytes) -> None:
    style = re.search(r"<style>(.*?)</style>", hostile_page.decode(), re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in pages.CSP
    assert "script-src" not in pages.CSP
    assert pages.CSP.startswith("default-src 'none'; ")
    assert "unsafe" not in pages.CSP
    assert not [name for name, _ in Found(hostile_page).attributes if name == "style"]


@pytest.mark.parametrize("css", [pages.STYLE, HUB_CSS.read_text("utf-8")], ids=["style", "hub"])
def test_the_style_asks_for_nothing_from_elsewhere(css: str) -> None:
    assert "url(" not in css
    assert "@import" not in css
    assert "</" not in css


def test_the_hub_has_no_colours_of_its_own() -> None:
    css = re.sub(r"/\*.*?\*/", "", HUB_CSS.read_text("utf-8"), flags=re.DOTALL)
    values = re.findall(r":([^;{}]*);", css)
    assert len(values) > 100
    assert [value for value in values if re.search(r"#[0-9a-f]{3,8}\b|rgba?\(|hsl", value)] == []


# Contrast

COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", pages.STYLE
    )
}
TEXT = [
    *((ink, "paper") for ink in ("ink", "soft", "accent", "good", "warn", "bad")),
    *((ink, "card") for ink in ("ink", "soft", "accent", "good", "warn", "bad")),
    *(("ink", wash) for wash in ("accent-wash", "warn-wash", "bad-wash")),
    ("accent", "accent-wash"),
    ("on-accent", "accent"),
    ("on-bad", "bad"),
]
EDGES = [("edge", "paper"), ("edge", "card"), ("accent", "line"), ("bad", "line")]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), TEXT)
def test_text_can_be_read(front: str, back: str, scheme: int) -> None:
    assert contrast(COLOURS[front][scheme], COLOURS[back][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), EDGES)
def test_fields_and_gauges_can_be_seen(front: str, back: str, scheme: int) -> None:
    assert contrast(COLOURS[front][scheme], COLOURS[back][scheme]) >= 3


def test_no_colour_is_left_out() -> None:
    used = {name for pair in (*TEXT, *EDGES) for name in pair}
    assert set(COLOURS) == used


def test_contrast_is_computed_as_it_is_defined() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("rgb(119, 119, 119)", "#ffffff") == pytest.approx(4.48, abs=0.01)
