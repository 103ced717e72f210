"""Keeps out of the hub's log what must not be in any log."""

import logging

from tornado.log import app_log


class _NoSessionIds(logging.Filter):
    """JupyterHub writes the value of the session cookie down whenever it renews an XSRF cookie."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Setting new xsrf cookie")


_FILTER = _NoSessionIds()


def keep_secrets_out_of_the_log() -> None:
    """Once for the hub; a filter that is there already is not added again."""
    app_log.addFilter(_FILTER)
