"""How a failed request reaches the person: one sentence, the same on page, API and log."""

from jupyterhub.spawner import SpawnException

from .client import AskError

FAULTS = {"internal-error", "bad-reply", "no-answer", "sudo-refused", "sudo-missing", "ended-early"}
"""What is nobody's decision but something that is broken: 500, not 403."""


def for_the_person(error: AskError) -> SpawnException:
    """What JupyterHub shows; `reason` also labels its metrics."""
    status = 500 if error.code in FAULTS else 403
    exception = SpawnException(error.message, reason=error.code, status_code=status)
    # the page after a start that took its time shows this attribute and nothing else
    exception.jupyterhub_message = error.message
    return exception
