"""How a failed request reaches the person: one sentence, the same on page, API and log."""

from jupyterhub.spawner import SpawnException

from unixspawner_mediator.protocol import printable

from .errors import AskError

DECISIONS = {
    "draining",
    "not-a-member",
    "no-shell",
    "system-account",
    "wrong-account",
    "wrong-password",
    "no-such-profile",
    "too-many-processes",
}
"""What somebody has decided: 403. Everything else is broken: 500."""


UNCERTAIN = {"bad-reply", "internal-error", "no-answer"}
"""After these a server may run all the same; every other answer means that none was started."""


def for_the_person(error: AskError) -> SpawnException:
    """What JupyterHub shows; `reason` also labels its metrics."""
    status = 403 if error.code in DECISIONS else 500
    exception = SpawnException(error.message, reason=error.code, status_code=status)
    # the page after a start that took its time shows this attribute and nothing else
    exception.jupyterhub_message = error.message
    return exception


def slow_session(seconds: float) -> AskError:
    return AskError(
        "session-slow",
        f"Your session on this machine has not opened within {seconds:.0f} seconds, a directory "
        "service or a file server may hang: try again later or ask your administrator.",
    )


def slow_answer(seconds: float, log_tail: str) -> AskError:
    sentence = f"Your server was started but has not answered within {seconds:.0f} seconds"
    return AskError("answer-slow", f"{sentence}. Its last lines: {_last_lines(log_tail)}")


def ended_early(log_tail: str) -> AskError:
    sentence = "Your server ended while it started"
    return AskError("ended-early", f"{sentence}. Its last lines: {_last_lines(log_tail)}")


def _last_lines(log_tail: str) -> str:
    lines = [line for line in log_tail.splitlines() if line.strip()][-5:]
    return " / ".join(printable(line, 200) for line in lines) or "it wrote no log"


def no_socket(error: OSError) -> AskError:
    """The hub's own directory is missing, full, or not its own."""
    return AskError(
        "no-socket",
        "The service cannot make a socket for your server: "
        "ask your administrator to run `unixspawner doctor`.",
        f"{error.filename or ''}: {error.strerror}",
    )
