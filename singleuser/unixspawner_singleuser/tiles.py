"""The tiles of the home page: one application each, with its state and what can be done with it.

Run as the person signed in. Pure. A state is a word first; colour and shape only repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from .markup import Html, element
from .menu import Tile

_WORDS = {
    "shared": "shared by everybody",
    "stopped": "not running, starts when you open it",
    "starting": "starting",
    "running": "running as you",
    "failed": "failed, its log says why",
}
_OUTDATED = "Its settings have changed: a restart takes the new ones."


def tile_list(tiles: Sequence[Tile], token: str) -> Html:
    """`token` is the session's _xsrf token, for the forms."""
    return element("ul", *(_item(tile, token) for tile in tiles), class_="tiles")


def _item(tile: Tile, token: str) -> Html:
    title = element("h3", element("a", tile.title, href=tile.url))
    return element(
        "li",
        element("div", _icon(tile), title, class_="title"),
        element("p", tile.description, class_="soft") if tile.description else None,
        element("p", _WORDS[tile.state], class_=f"state state-{tile.state}"),
        element("p", _OUTDATED, class_="small") if tile.outdated else None,
        _controls(tile, token),
        class_="tile",
        id=f"application-{tile.name}",
    )


def _icon(tile: Tile) -> Html:
    if tile.icon_url:
        return element("img", class_="icon", src=tile.icon_url, alt=True, width="44", height="44")
    return element("span", tile.title.strip()[:1].upper(), class_="icon", aria_hidden="true")


def _controls(tile: Tile, token: str) -> Html | None:
    """A shared application is not this person's to stop, and its log is not here."""
    if not tile.log_url:
        return None
    controls = [element("a", "Log", _of(tile), class_="btn btn-sm", href=tile.log_url)]
    if tile.state != "stopped":
        controls.append(_button("Restart", tile, tile.restart_url, token))
    if tile.state in {"starting", "running"}:
        controls.append(_button("Stop", tile, tile.stop_url, token))
    return element("div", *controls, class_="controls")


def _button(word: str, tile: Tile, url: str, token: str) -> Html:
    action = f"{url}?_xsrf={quote(token, safe='')}"
    button = element("button", word, _of(tile), class_="btn btn-sm", type="submit")
    return element("form", button, method="post", action=action)


def _of(tile: Tile) -> Html:
    """Which application, for those who hear a button without seeing where it is."""
    return element("span", f" {tile.title}", class_="visually-hidden")
