"""What sudo means when it ends without starting our program, in words for the person; in the hub.

sudo has one exit status for all of it, so its own words are looked at: those of sudo 1.9 and, where
they differ, of sudo-rs. What is not recognised is taken for a refusal, and the log has the words.
A refusal always has some.
"""

import re

from .errors import AskError

REFUSED = (
    "sudo-refused",
    "The hub is not allowed to start servers on this machine: "
    "ask your administrator to run `unixspawner doctor`.",
)
MISSING = (
    "sudo-missing",
    "The hub is not allowed to start servers on this machine: "
    "ask your administrator to run `unixspawner doctor`.",
)
SILENT = (
    "sudo-silent",
    "A program of this service could not be run, and why is not known: try again, and if it "
    "stays, ask your administrator to run `unixspawner doctor`.",
)
_MEANINGS = (
    (r"prlimit: failed to execute", MISSING),
    (
        r"pam_open_session|session initialization|pam_setcred",
        (
            "session-failed",
            "Your session on this machine could not be opened: ask your administrator to look at "
            "the session modules of PAM.",
        ),
    ),
    (
        r"(?i)account validation failure|account (has )?expired|password (is )?expired|"
        r"account is locked",
        (
            "hub-account-unusable",
            "The account of this service is locked or has expired: "
            "ask your administrator to run `unixspawner doctor`.",
        ),
    ),
    (
        r"command not found|"
        r"(unable to|cannot) execute [^:]*: (No such file|Permission denied|Exec format)",
        (
            "mediator-missing",
            "A program of this service is missing or cannot run: "
            "ask your administrator to run `./install` again.",
        ),
    ),
    (
        r"(unable to (execute|fork)|cannot execute).*Resource temporarily unavailable",
        (
            "too-many-processes",
            "You run as many processes as you may already: end some of them, "
            "or ask your administrator.",
        ),
    ),
    (
        r"unknown user|user '[^']*' not found",
        (
            "no-account",
            "This account is not known to the name service: ask your administrator.",
        ),
    ),
)


def explain(said: str) -> AskError:
    """The failure that sudo's error output stands for."""
    if not said:
        return AskError(*SILENT, "sudo: nothing")
    for pattern, (code, sentence) in _MEANINGS:
        if re.search(pattern, said):
            return AskError(code, sentence, f"sudo: {said}")
    return AskError(*REFUSED, f"sudo: {said}")
