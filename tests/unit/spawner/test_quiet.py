"""What JupyterHub would write down and must not."""

import logging

import pytest
from tornado.log import app_log

from unixspawner.quiet import keep_secrets_out_of_the_log


def test_a_session_id_is_not_logged_and_everything_else_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep_secrets_out_of_the_log()
    keep_secrets_out_of_the_log()
    with caplog.at_level(logging.INFO, logger=app_log.name):
        # as jupyterhub._xsrf_utils writes it
        app_log.info("Setting new xsrf cookie for %r %r", b"session-id:hash", {})
        app_log.info("Something else")
    assert [record.getMessage() for record in caplog.records] == ["Something else"]
    assert len(app_log.filters) == 1
