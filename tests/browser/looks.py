"""Whether a page is fit to be seen: on a phone and a desk, light and dark, with keys and with ears.

Run by pytest, on the page that a browser shows. Rules about accessibility are those of axe-core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.browser.webdriver import Browser

AXE = Path(sys.prefix, "tests/node_modules/axe-core/axe.min.js")
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}
SCHEMES = ("light", "dark")
TAB = "\ue004"

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_BROKEN_RULES = """
const found = await axe.run(document, {
  runOnly: { type: "tag", values: arguments[0] },
  rules: Object.fromEntries(arguments[1].map((name) => [name, { enabled: false }])),
});
return found.violations.flatMap((rule) =>
  rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)}`));
"""
_FOREIGN = """
return performance.getEntriesByType("resource").map((entry) => new URL(entry.name))
  .filter((url) => url.origin !== location.origin).map(String);
"""
# Of radio buttons of one name Tab finds the chosen one, and arrow keys lead to the others.
_CONTROLS = """
const fields = "input:not([type=hidden]):not([type=radio]:not(:checked)), select, textarea";
const all = `a[href], button, ${fields}, summary, [tabindex="0"]`;
window.controls = [...document.querySelectorAll(all)].filter((control) =>
  !control.disabled && control.checkVisibility({ visibilityProperty: true }));
document.activeElement.blur();
return window.controls.map((control) => control.outerHTML.slice(0, 120));
"""
# Which control has the focus, and whether that can be seen; an outline may be on what covers it.
_FOCUS = """
const focus = document.activeElement;
const seen = [null, "::after"].map((part) => getComputedStyle(focus, part))
  .some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
return [window.controls.indexOf(focus), seen];
"""


def expect_fit(chromium: Browser, name: str, *, excused: Sequence[str] = ()) -> None:
    """Look at the page from all sides. `excused` are rules that JupyterHub's own part breaks."""
    assert chromium.run("return document.documentElement.lang") == "en", name
    assert chromium.title.strip(), name
    chromium.run(AXE.read_text("utf-8"))
    seen = list(_from_all_sides(chromium, name, excused))
    chromium.resize(*SIZES["desktop"])
    wrong = [*seen, *_out_of_reach(chromium), *chromium.run(_FOREIGN)]
    wrong += [text for text in chromium.complaints() if not _is_about(text, chromium.url)]
    assert wrong == [], "\n".join([name, *wrong])


def _from_all_sides(chromium: Browser, name: str, excused: Sequence[str]) -> Iterator[str]:
    """What is wrong in each light and on each screen."""
    for size, (width, height) in SIZES.items():
        chromium.resize(width, height)
        for scheme in SCHEMES:
            chromium.prefer(scheme)
            chromium.picture(f"{name}-{scheme}-{size}")
            needed = chromium.run("return document.documentElement.scrollWidth")
            if needed > width:
                yield f"{scheme}, {size}: it is {needed} wide"
            for broken in chromium.run(_BROKEN_RULES, _RULES, list(excused)):
                yield f"{scheme}, {size}: {broken}"


def _out_of_reach(chromium: Browser) -> list[str]:
    """Controls that no Tab leads to, or whose focus nobody sees."""
    controls = chromium.run(_CONTROLS)
    reached: dict[int, bool] = {}
    for _ in range(len(controls) + 2):
        chromium.press(TAB)
        index, is_seen = chromium.run(_FOCUS)
        reached[index] = is_seen
    return [f"by keys: {text}" for index, text in enumerate(controls) if not reached.get(index)]


def _is_about(complaint: str, url: str) -> bool:
    """A status of 403 is what a page of that status should have; the console complains of it."""
    return complaint.startswith(f"{url} - Failed to load resource")
