"""Sentences for people that both the hub and the privileged programs say; both import this page.

Whoever refuses first, the person reads the same words. Every code is explained in
docs/administrators.md.
"""

from typing import NamedTuple


class Sentence(NamedTuple):
    """A stable word for programs and logs, and one plain sentence for the person."""

    code: str
    message: str


WRONG_PASSWORD = Sentence(
    "wrong-password",
    "Wrong user name or password. If you are sure of both, your account may be locked: "
    "ask your administrator.",
)
# Told to everybody whose sign-in fails while a name service is down, whatever the name: it must
# not show which accounts exist.
WRONG_OR_UNKNOWN = Sentence(
    "wrong-or-unknown",
    "Wrong user name or password, or this machine cannot look up your account at the moment: "
    "try again, and if it stays, ask your administrator.",
)
# PAM says so, or the account that asks PAM is not what it should be: then nobody's can be checked.
PASSWORDS_UNAVAILABLE = Sentence(
    "passwords-unavailable",
    "Passwords cannot be checked at the moment: ask your administrator to run "
    "`unixspawner doctor`.",
)


def not_a_member(name: str, group: str) -> Sentence:
    """The one thing that lets a person in is missing."""
    return Sentence(
        "not-a-member",
        f"{name} is not a member of the group {group}: ask your "
        f"administrator to run `usermod -aG {group} {name}`.",
    )


def cannot_tell(name: str) -> Sentence:
    """A name service is down: nobody is let in on a guess, and nobody is put out."""
    return Sentence(
        "cannot-tell",
        f"This machine cannot tell at the moment whether {name} may use this service: "
        "try again later or ask your administrator.",
    )
