"""Templates: places, conditions, and that all templates of the tree can be filled in."""

import re
from pathlib import Path

import pytest

from unixspawner_admin import wanted
from unixspawner_admin.context import Context
from unixspawner_admin.manifest import Manifest
from unixspawner_admin.options import Options, Run
from unixspawner_admin.render import TemplateError, render

ROOT = Path(__file__).parents[3]
TEMPLATES = [
    "sudoers.d/unixspawner",
    *sorted(
        str(path.relative_to(ROOT))
        for folder in ("pam.d", "systemd", "init.d", "sysusers.d", "tmpfiles.d", "libexec")
        for path in (ROOT / "config" / folder).iterdir()
    ),
    "config/mediator.toml",
]


def test_places_are_filled() -> None:
    assert render("a @b_c@ d", {"b_c": "x"}, {}) == "a x d\n"


def test_lines_under_a_condition() -> None:
    template = "1\n#if tls\n2\n#endif\n3"
    assert render(template, {}, {"tls": True}) == "1\n2\n3\n"
    assert render(template, {}, {"tls": False}) == "1\n3\n"


@pytest.mark.parametrize("template", ["@unknown@", "#if unknown\n#endif"])
def test_what_nobody_gave_is_an_error(template: str) -> None:
    with pytest.raises(TemplateError, match="unknown"):
        render(template, {}, {})


def test_values_are_not_filled_again() -> None:
    assert render("@a@", {"a": "@b@", "b": "x"}, {}) == "@b@\n"


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("tls", ["", "/etc/ssl/x.pem"])
def test_every_template_can_be_filled_in(name: str, tls: str) -> None:
    options = Options(hub_account="hub", users_group="lab", tls_cert=tls, tls_key=tls)
    release = Path("/opt/unixspawner/releases/1-2")
    context = Context(options, Run(), ROOT, release, Manifest(Path("/nonexistent")))
    text = wanted.fill(context, name).decode()
    assert not re.search(r"@\w+@", text)
    assert "#if" not in text
    assert "#endif" not in text
