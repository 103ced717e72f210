"""What JupyterHub would write down and must not."""

import logging

import pytest
from tornado.log import access_log, app_log

from unixspawner.quiet import LONGEST, keep_the_log_quiet


def test_a_session_id_is_not_logged_and_everything_else_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep_the_log_quiet()
    keep_the_log_quiet()
    with caplog.at_level(logging.INFO, logger=app_log.name):
        # as jupyterhub._xsrf_utils writes it
        app_log.info("Setting new xsrf cookie for %r %r", b"session-id:hash", {})
        app_log.info("Something else")
    assert [record.getMessage() for record in caplog.records] == ["Something else"]
    assert len(app_log.filters) == 1


def test_a_long_address_is_logged_in_part(caplog: pytest.LogCaptureFixture) -> None:
    keep_the_log_quiet()
    with caplog.at_level(logging.INFO, logger=access_log.name):
        access_log.info("302 GET /%s/%%41", "x" * 100_000)  # a per cent sign is no argument
        access_log.info("200 GET /short")
    long, short = (record.getMessage() for record in caplog.records)
    assert long == "302 GET /" + "x" * (LONGEST - 9) + "... (100013 characters)"
    assert short == "200 GET /short"
