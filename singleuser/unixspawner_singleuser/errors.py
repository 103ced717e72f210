"""What can go wrong in the single-user server, by who is to be told.

Run as the person signed in. A `ConfigurationError` is for the administrator's log and ends the
start; the others become an HTTP answer whose sentence is safe to show to any visitor.
"""


class ConfigurationError(Exception):
    """The environment or a file makes a start impossible; the text says what to change."""


class BadRequestError(Exception):
    """The request cannot be understood without guessing; the text is shown to the visitor."""


class AmbiguousSessionError(Exception):
    """The browser sent several different, validly signed session cookies for this server."""


class HubUnavailableError(Exception):
    """The hub did not answer, or not in a way that tells who a visitor is; text is for the log."""


class LoginRefusedError(Exception):
    """The hub answered, and refused to turn an authorisation code into a token."""


class UpstreamUnavailableError(Exception):
    """An application did not accept the connection or did not speak HTTP; text is for the log."""


class InvalidApplicationError(Exception):
    """A file in apps.d is wrong; the text is the reason, for whoever wrote the file."""

    def __init__(self, reason: str, line: int = 0, *, key: str = "") -> None:
        super().__init__(reason)
        self.line = line
        self.key = key  # what the reason is about, where that is not the whole file


class StartFailedError(Exception):
    """An application's program does not run; the text is a sentence for the person."""
