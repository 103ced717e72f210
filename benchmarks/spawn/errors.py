"""The one error that the benchmark shows as a plain sentence; run by root with the rest."""


class BenchmarkError(Exception):
    """What happened and what to do about it, in one sentence. `log` is what a hub said last."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log
