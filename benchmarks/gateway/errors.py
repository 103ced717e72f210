"""The one error that the benchmark shows as a plain sentence; run by whoever runs the benchmark."""


class BenchmarkError(Exception):
    """What happened and what to do about it, in one sentence."""
