"""The demo person: made once, with a random password that is shown once and stored nowhere."""

import functools
import secrets

from . import system
from .changes import Change
from .manifest import Manifest
from .options import Options

PERSON = "demo"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look like another


def make_password() -> str:
    """Four groups of four: 79 bits."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
    return "-".join(groups)


def plan(options: Options, manifest: Manifest, password: str) -> list[Change]:
    """Nothing that exists already is adopted: no password changed, no group joined."""
    if not options.demo or system.uid_of(PERSON) is not None:
        return []
    text = f"create person {PERSON} with a random password, in group {options.users_group}"
    return [Change(text, functools.partial(_make, options, manifest, password))]


def _make(options: Options, manifest: Manifest, password: str) -> None:
    manifest.remember(manifest.people, PERSON)
    groups = ["--groups", options.users_group]
    comment = ["--comment", "unixspawner demo"]
    system.run(["useradd", "--create-home", "--shell", "/bin/bash", *groups, *comment, PERSON])
    system.run(["chpasswd"], stdin=f"{PERSON}:{password}\n".encode())


def what_to_say(options: Options, manifest: Manifest, password: str | None) -> str:
    """How to sign in as the demo person; the password only in the run that made it."""
    if password is not None:
        return f"Sign in as {PERSON} with the password {password} (shown this once)."
    if PERSON in manifest.people:
        return (
            f"Sign in as {PERSON}: its password was shown when it was made and is unchanged "
            f"(`passwd {PERSON}` sets another)."
        )
    return (
        f"An account {PERSON} was here before us and was left as it is; to let it in: "
        f"usermod -aG {options.users_group} {PERSON}"
    )
