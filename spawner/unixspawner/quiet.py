"""Keeps out of the hub's log what must not be in any log, and what would fill it."""

import logging

from tornado.log import access_log, app_log

LONGEST = 1000  # characters of one record about a request


class _NoSessionIds(logging.Filter):
    """JupyterHub writes the value of the session cookie down whenever it renews an XSRF cookie."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Setting new xsrf cookie")


class _ShortRecords(logging.Filter):
    """An address of 32 KB becomes a record of 100 when a sign-in repeats it, escaped: a full disk
    is the price of a few thousand requests of strangers."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if len(text) > LONGEST:
            record.msg = f"{text[:LONGEST]}... ({len(text)} characters)"
            record.args = ()
        return True


_NO_SESSION_IDS = _NoSessionIds()
_SHORT_RECORDS = _ShortRecords()


def keep_the_log_quiet() -> None:
    """Once for the hub; a filter that is there already is not added again."""
    app_log.addFilter(_NO_SESSION_IDS)
    access_log.addFilter(_SHORT_RECORDS)
