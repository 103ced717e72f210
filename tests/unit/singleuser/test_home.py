"""Our own home page, when no application takes its place, and what hostile names do to it."""

from __future__ import annotations

import os
import platform
import pwd
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import ACCESS, PREFIX, Browser, FakeHub

from unixspawner_singleuser.catalogue import Catalogue


class TestHome:
    @pytest.fixture
    def applications(self, directory: Path) -> Catalogue:
        return Catalogue()

    async def test_it_says_who_and_where_i_am(self, alice: Browser) -> None:
        response = await alice.get(PREFIX)
        page = await response.text()
        assert response.status == 200
        assert pwd.getpwuid(os.getuid()).pw_name in page
        assert platform.node() in page
        assert 'id="jupyterhub-control-panel-link" href="/@/my%20lab/hub/home"' in page
        assert f'href="{PREFIX}logout"' in page
        assert "nothing on this address is protected" not in page
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy

    async def test_everything_else_is_not_found(self, alice: Browser) -> None:
        for path in ("x", "api/contents", "<script>"):
            response = await alice.get(PREFIX + path)
            assert response.status == 404
            assert "<script" not in await response.text()

    async def test_a_visitor_sees_who_is_visiting_whom(
        self, browser: Browser, hub: FakeHub
    ) -> None:
        await browser.sign_in(hub.admit("<b>bob", ACCESS))
        assert "&lt;b&gt;bob" in await (await browser.get(PREFIX)).text()


@pytest.mark.parametrize("name", ["x" * 1_000_000, "a\nb\x1b[31m"])
async def test_a_hostile_name_is_one_short_line_in_the_log(
    browser: Browser, hub: FakeHub, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level("INFO", "unixspawner_singleuser")
    await browser.sign_in(hub.admit(name, "access:nothing"))
    response = await browser.get(PREFIX)
    assert response.status == 403
    await response.read()
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    for message in messages:
        assert len(message) < 200
        assert message.isprintable()
