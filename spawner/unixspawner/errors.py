"""A request to the privileged programs that failed, in words for the person and for the log."""


class AskError(Exception):
    """The request failed. The text is one plain sentence for the person, `code` a stable word,
    `detail` what else the log should hold."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
