"""The hub's pages, rendered as the hub does it: our templates over JupyterHub's own.

Whatever a name, a message or a server is called, it stays text.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH
from tests.unit.docs import documents
from traitlets.config.loader import PyFileConfigLoader

from unixspawner_admin import paths, wanted
from unixspawner_admin.context import Context
from unixspawner_admin.manifest import Manifest
from unixspawner_admin.options import Options, Run

ROOT = Path(__file__).parents[3]
OURS = ROOT / "config/templates"
THEIRS = Path(DATA_FILES_PATH) / "templates"
NAMES = sorted(path.name for path in OURS.glob("*.html"))
PAGES = [name for name in NAMES if name != "page.html"]
HOSTILE = """</script><script>alert('x')</script><b>"'&{{ machine }}"""


def environment() -> Environment:
    """As JupyterHub 6 makes it."""
    base = FileSystemLoader([str(THEIRS)])
    both = FileSystemLoader([str(OURS), str(THEIRS)])
    loader = ChoiceLoader([PrefixLoader({"templates": base}, "/"), both])
    return Environment(loader=loader, autoescape=True)


def server(name: str, *, runs: bool) -> SimpleNamespace:
    return SimpleNamespace(
        name=name,
        display_name=name,
        active=runs,
        ready=runs,
        pending=None,
        last_activity=None,
        options_form="",
    )


def person(name: str) -> SimpleNamespace:
    servers = [server(name, runs=True), server("work", runs=False)]
    return SimpleNamespace(
        name=name,
        escaped_name="escaped",
        json_escaped_name="escaped",
        spawner=servers[0],
        all_spawners=lambda include_default: servers,
        server_url=lambda name: "/user/escaped/",
    )


def values(text: str) -> dict[str, Any]:
    """What JupyterHub's handlers give to their pages, all of them together; every text is this."""
    texts = (
        "machine site login_error username login_url logout_url url error_message progress_url"
        " server_name spawn_url failed_message status_message message code spawner_url next_url"
        " server_version authenticator_login_url xsrf xsrf_token"
    )
    client = SimpleNamespace(
        description=text, redirect_uri=text, spawner=SimpleNamespace(user=person(text))
    )
    return {
        **dict.fromkeys(texts.split(), text),
        "base_url": "/hub/",
        "prefix": "/",
        "api_page_limit": 50,
        "static_url": lambda path, include_version=True: f"/hub/static/{path}",
        "user": person(text),
        "owner": person(text),
        "for_user": person(text + text),
        "spawner": server(text, runs=False),
        "default_server": server("", runs=True),
        "authenticator": SimpleNamespace(request_otp=False),
        "allow_named_servers": True,
        "named_server_limit_per_user": 10,
        "invalid_server_names": [text],
        "failed": True,
        "status_code": 500,
        "exception": SimpleNamespace(reason=text, message=text),
        "parsed_scopes": {},
        "allowed_scopes": [text],
        "scope_descriptions": [{"scope": text, "description": text, "filter": text}],
        "oauth_client": client,
    }


def rendered(name: str, text: str = "plain", **changes: object) -> str:
    return environment().get_template(name).render({**values(text), **changes})


class Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str | None] = []
        self.language: str | None = None
        self.title = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append(tag)
        self.ids.append(attributes.get("id"))
        if tag == "html":
            self.language = attributes.get("lang")

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["title"]:
            self.title += data.strip()


@pytest.mark.parametrize("name", NAMES)
def test_whatever_things_are_called_stays_text(name: str) -> None:
    page = rendered(name, HOSTILE)
    assert Page(page).tags == Page(rendered(name)).tags
    assert "<script>alert" not in page
    assert "<b>" not in page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_language_title_landmark_and_heading(name: str) -> None:
    page = Page(rendered(name))
    assert page.language == "en"
    assert page.title not in ("", "JupyterHub")
    assert page.tags.count("main") == 1
    assert page.ids.count("main") == 1
    assert page.tags.count("h1") == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_made_of_jupyterhubs_own(name: str) -> None:
    """So that what a newer JupyterHub needs there is there."""
    parent = re.findall(r'{% extends "(.*?)" %}', (OURS / name).read_text("utf-8"))
    assert parent in ([f"templates/{name}"], ["error.html"])


def test_every_page_of_jupyterhub_has_our_look() -> None:
    assert sorted(path.name for path in THEIRS.glob("*.html")) == NAMES


def test_blocks_are_ones_that_jupyterhub_has() -> None:
    """A block of another name would be shown nowhere."""
    block = re.compile(r"{%-? block (\w+)")
    known = {name for path in THEIRS.glob("*.html") for name in block.findall(path.read_text())}
    used = {name for path in OURS.glob("*.html") for name in block.findall(path.read_text())}
    assert used
    assert used <= known


@pytest.mark.parametrize(
    ("status", "message", "heading", "sentence"),
    [
        (404, "", "Not found", "There is nothing at this address."),
        (403, "Ask alice for a share.", "Not allowed", "Ask alice for a share."),
        (500, "", "Something went wrong", "Internal Server Error"),
        (418, "No coffee.", "Something went wrong", "No coffee."),
    ],
)
def test_an_error_says_what_happened_in_words(
    status: int, message: str, heading: str, sentence: str
) -> None:
    page = rendered(
        "error.html",
        status_code=status,
        message=message,
        status_message="Internal Server Error",
        exception=SimpleNamespace(reason=""),
    )
    assert f"<h1>{heading}</h1>" in page
    assert f"<p>{sentence}</p>" in page


def test_an_error_without_an_exception_can_be_shown() -> None:
    """As the proxy asks for it, /hub/error/503."""
    given = values("plain") | {"status_code": 503}
    del given["exception"]
    page = environment().get_template("error.html").render(given)
    assert "<h1>Your server does not answer</h1>" in page


def test_a_refused_start_is_not_called_forbidden() -> None:
    exception = SimpleNamespace(reason="home-missing", message="x")
    page = rendered("error.html", status_code=403, exception=exception, message="No home.")
    assert "<h1>Your server did not start</h1>" in page
    assert "Error 403 (home-missing)" in page


@pytest.mark.parametrize("name", ["login.html", "not_running.html", "error.html"])
def test_a_refusal_is_announced(name: str) -> None:
    page = rendered(name, login_error="No.", failed_message="No.", message="No.")
    assert re.search(r'role="alert">\s*(<p>)?No\.<', page)


def test_the_refusal_of_a_sign_in_is_said_once() -> None:
    assert rendered("login.html", login_error="Not this one.").count("Not this one.") == 1
    assert "login_error" not in rendered("login.html", login_error="")


def test_the_site_has_a_name_of_its_own_if_somebody_gives_it_one() -> None:
    assert "Sign in to Physics Lab" in rendered("login.html", site="Physics Lab")
    nameless = rendered("login.html", site="", machine="alpha")
    assert "Sign in to alpha" in nameless
    assert "<strong>alpha</strong>" in nameless


def test_a_start_that_is_stopped_is_the_one_that_is_shown() -> None:
    named, first = server("work", runs=False), server("", runs=False)
    assert 'const server = "servers/work";' in rendered("spawn_pending.html", spawner=named)
    assert 'const server = "server";' in rendered("spawn_pending.html", spawner=first)


def test_every_page_is_installed() -> None:
    release = Path("/opt/unixspawner/releases/1-2")
    context = Context(Options(), Run(), ROOT, release, Manifest(Path("/nonexistent")))
    installed = {file.path: file.content for file in wanted.configuration(context)}
    for name in NAMES:
        assert installed[paths.TEMPLATES / name] == (OURS / name).read_bytes()


def test_the_example_of_the_docs_gives_the_site_its_name(tmp_path: Path) -> None:
    """In a file of jupyterhub_config.d, read in between as jupyterhub_config.py reads it."""
    text = (ROOT / "config/jupyterhub_config.py").read_text("utf-8")
    own = [line for line in text.splitlines() if "template_vars" in line and line.startswith("c.")]
    assert len(own) == 3  # the third is about drains
    section = documents.section(documents.read("docs/administrators.md"), "## Pages")
    addition, main = tmp_path / "50-pages.py", tmp_path / "main.py"
    addition.write_text(re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0])
    begin = "c = get_config()\nmachine = 'alpha'"
    main.write_text("\n".join([begin, own[0], f"load_subconfig({str(addition)!r})", own[1]]))
    told = PyFileConfigLoader(str(main)).load_config().JupyterHub.template_vars
    assert told.keys() == {"machine", "site", "announcement"}
    assert told["machine"] == "alpha"
    assert f"Sign in to {told['site']}" in rendered("login.html", **told)
