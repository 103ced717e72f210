"""The two kinds of failure of a privileged program.

A refusal is a decision: its sentence is safe and useful to the person who asked. Anything else
is a fault: it goes to the log in full, and the person reads "internal error".
"""

EXIT_REFUSED = 1
EXIT_FAULT = 2


class Refusal(Exception):  # noqa: N818  a decision, not an error
    """A request that is not granted.

    `code` is a stable word for programs, `message` one plain sentence for the person,
    `detail` what only the log should hold.
    """

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


def broken_request(detail: str) -> Refusal:
    """A message that does not follow the protocol; what was wrong is for the log."""
    return Refusal(
        "bad-request",
        "The hub sent a request that the mediator does not understand: "
        "ask your administrator to run `unixspawner doctor`.",
        detail,
    )
