"""The pure parts, each by its rule: prefix, cookies, signatures, scopes, next URLs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import ACCESS, FakeHub, environment, settings
from tests.unit.singleuser.incoming import Clock, incoming

from unixspawner_singleuser import pages
from unixspawner_singleuser.activity import Activity, iso_timestamp
from unixspawner_singleuser.cookies import session_cookie
from unixspawner_singleuser.errors import ConfigurationError, HubUnavailableError
from unixspawner_singleuser.headers import application_cookies
from unixspawner_singleuser.hub import Hub, HubAddress, check_hub
from unixspawner_singleuser.logins import local_url
from unixspawner_singleuser.request import path_below, read_cookies
from unixspawner_singleuser.sessions import MAX_ENTRIES, Credential, VisitorCache
from unixspawner_singleuser.settings import CookieOptions, decoded_segments, from_environment
from unixspawner_singleuser.signing import Signer, derive_key
from unixspawner_singleuser.visitors import Visitor, may_access, parse_visitor


@pytest.mark.parametrize(
    ("path", "below"),
    [
        (b"/@/my%20lab/user/alice/", b""),
        (b"/%40/my%20lab/user/%61lice/x%2Fy", b"x%2Fy"),
        (b"/@/my%20lab/user/alice//evil", b"/evil"),
        (b"/@/my%20lab/user/alice", None),
        (b"/@/my%20lab/user/alice2/", None),
        (b"/@%2Fmy%20lab/user/alice/", None),
        (b"//@/my%20lab/user/alice/", None),
        (b"/", None),
    ],
)
def test_the_prefix_is_matched_decoded_and_by_segment(path: bytes, below: bytes | None) -> None:
    assert path_below(path, decoded_segments("/@/my%20lab/user/alice/")) == below


def test_without_a_prefix_everything_is_below() -> None:
    assert path_below(b"//x", ()) == b"/x"


@pytest.mark.parametrize(
    ("target", "result"),
    [
        ("/user/alice/x?y=1", "/user/alice/x?y=1"),
        ("//evil.example/", "/home/"),
        ("/\\evil.example/", "/home/"),
        ("\\\\evil", "/home/"),
        ("/\t//evil", "/home/"),
        ("\t//evil", "/home/"),
        ("https://evil.example/", "/home/"),
        ("javascript:alert(1)", "/home/"),
        ("/x\r\nSet-Cookie: a=b", "/home/"),
        ("/é", "/home/"),
        ("", "/home/"),
    ],
)
def test_the_way_back_stays_on_this_site(target: str, result: str) -> None:
    assert local_url(target, "/home/") == result


@pytest.mark.parametrize(
    ("held", "required", "access"),
    [
        (["access:servers"], ["access:servers!server=alice/"], True),
        (["access:servers!server=alice/"], ["access:servers!server=alice/"], True),
        (["access:servers!user=alice"], ["access:servers!server=alice/x"], True),
        (["access:servers!user=alice"], ["access:servers!user=alice"], True),
        (["access:servers!user=alic"], ["access:servers!server=alice/"], False),
        (["access:servers!user="], ["access:servers!server=/"], False),
        (["access:servers!server=alice/x"], ["access:servers!server=alice/"], False),
        (["access:servers!server=alice/"], ["access:servers!user=alice"], False),
        (["access:servers!user=alice"], ["access:servers"], False),
        (["access:servers!group=alice"], ["access:servers!server=alice/"], False),
        (["access:services"], ["access:servers!server=alice/"], False),
        (["self"], ["access:servers!server=alice/"], False),
        ([], ["access:servers!server=alice/"], False),
        (["access:servers"], [], False),
    ],
)
def test_scopes_open_the_server_or_not(held: list[str], required: list[str], access: bool) -> None:
    assert may_access(Visitor("bob", "user", frozenset(held)), frozenset(required)) is access


@pytest.mark.parametrize(
    "model",
    [None, [], {}, {"name": "alice"}, {"name": "", "scopes": []}, {"name": 1, "scopes": []}],
)
def test_an_odd_answer_about_a_visitor_is_not_believed(model: object) -> None:
    with pytest.raises(ValueError, match="the answer"):
        parse_visitor(model)


def test_a_signature_holds_for_one_name_one_key_and_thirty_days() -> None:
    clock = Clock()
    signer = Signer(derive_key("a"), clock)
    signed = signer.sign("name", "välue")
    assert signer.verify("name", signed) == "välue"
    assert signer.verify("other", signed) is None
    assert Signer(derive_key("b"), clock).verify("name", signed) is None
    for broken in ("", ".", "..", signed[1:], signed[:-1], f"9{signed}", "é.é.é"):
        assert signer.verify("name", broken) is None
    clock.now += 31 * 86400
    assert signer.verify("name", signed) is None


def test_the_key_is_the_same_for_the_same_start_and_never_the_token() -> None:
    assert derive_key("token") == derive_key("token") != derive_key("other")
    assert derive_key("") != derive_key("")


@pytest.mark.parametrize("host_prefix", ["0", "1"])
def test_the_session_cookie_follows_the_settings(directory: Path, host_prefix: str) -> None:
    configured = settings(
        directory,
        JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED=host_prefix,
        JUPYTERHUB_COOKIE_OPTIONS='{"SameSite": "None", "Secure": true, "expires_days": 2}',
    )
    assert session_cookie(configured, incoming(), "v").decode() == (
        "__Host-jupyterhub-user-alice=v; Path=/; SameSite=None; Max-Age=172800; Secure; HttpOnly"
        if host_prefix == "1"
        else "jupyterhub-user-alice=v; Path=/@/my%20lab/user/alice/; SameSite=None;"
        " Max-Age=172800; Secure; HttpOnly"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "{}"),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "[1]"),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "[" * 5000),
        ("JUPYTERHUB_COOKIE_OPTIONS", "[]"),
        ("JUPYTERHUB_COOKIE_OPTIONS", '{"domain": "x; Path=/"}'),
        ("JUPYTERHUB_ACTIVITY_INTERVAL", "soon"),
        ("JUPYTERHUB_ACTIVITY_INTERVAL", "nan"),
        ("JUPYTERHUB_ACTIVITY_INTERVAL", "-1"),
        ("JUPYTERHUB_USER", ""),
    ],
)
def test_a_bad_setting_is_named(directory: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        from_environment(environment(directory) | {name: value})


def test_settings_do_not_print_the_token(directory: Path) -> None:
    assert "secret-of-this-server" not in repr(settings(directory))
    assert settings(directory).cookie_options == CookieOptions()


def test_the_api_is_found_on_a_socket_or_on_tcp() -> None:
    assert HubAddress.parse("http+unix://%2Frun%2Fx%2Fhub.sock/hub/api") == HubAddress(
        "http://hub/hub/api", "/run/x/hub.sock"
    )
    assert HubAddress.parse("http://127.0.0.1:8081/hub/api").socket_path is None
    for bad in ("https://x/", "http+unix://relative/hub/api", "http:///x", "file:///x"):
        with pytest.raises(ConfigurationError):
            HubAddress.parse(bad)


def test_cookies_are_read_and_filtered_by_name() -> None:
    header = b'a=1; jupyterhub-session-id=s; _xsrf=x; b="2"; me=t; me-oauth-state-1=u; c'
    assert application_cookies(header, "me") == b'a=1; b="2"; c'
    assert read_cookies((header, b"a=3"))["a"] == ["1", "3"]
    assert read_cookies((header,))["b"] == ["2"]


def test_pages_escape_everything() -> None:
    evil = "<script>\"'&"
    page = pages.page(
        evil, evil, facts=[(evil, evil)], links=[pages.Link(evil, evil, id=evil)]
    ).decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;&quot;&#x27;&amp;") == 8


async def test_activity_is_reported_once_and_kept_while_the_hub_is_silent(
    directory: Path, hub: FakeHub
) -> None:
    client = Hub(settings(directory))
    activity = Activity()
    assert await activity.report(client)
    assert await activity.report(client)
    hub.status = 503
    activity.note()
    assert not await activity.report(client)
    hub.status = 200
    assert await activity.report(client)
    assert len(hub.activity) == 2
    timestamp = iso_timestamp(activity._last)
    assert timestamp.endswith("+00:00")
    assert hub.activity[1] == {
        "servers": {"": {"last_activity": timestamp}},
        "last_activity": timestamp,
    }
    await client.close()


async def test_the_cache_is_bounded_and_ages(directory: Path, hub: FakeHub) -> None:
    client, clock = Hub(settings(directory)), Clock()
    cache = VisitorCache(client, clock)
    good = Credential(hub.admit("alice", ACCESS), "s", "cookie")
    bad = Credential("nobody", "s", "cookie")
    for age, questions in ((0, 2), (29, 2), (31, 3), (301, 5)):
        clock.now = 1000.0 + age
        assert await cache.visitor(good) is not None
        assert await cache.visitor(bad) is None
        assert len(hub.asked) == questions
    for number in range(MAX_ENTRIES):
        cache._known[(str(number), "x")] = (0.0, None)
    await cache.visitor(Credential("other", "s", "cookie"))
    assert len(cache._known) == MAX_ENTRIES
    await client.close()


async def test_a_question_survives_the_visitor_who_asked_it(directory: Path, hub: FakeHub) -> None:
    client = Hub(settings(directory))
    cache = VisitorCache(client)
    credential = Credential(hub.admit("alice", ACCESS), "s", "cookie")
    first = asyncio.create_task(cache.visitor(credential))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.visitor(credential))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None
    assert hub.asked == ["user"]
    await client.close()


async def test_a_hub_of_another_version_and_no_hub_are_logged(
    directory: Path, hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    client = Hub(settings(directory))
    await check_hub(client, "6.0.0")
    assert caplog.text == ""
    await check_hub(client, "5.4.0")
    assert "The hub runs JupyterHub 6.1.1, this server was made for 5.4.0" in caplog.text
    (directory / "hub.sock").unlink()
    await client.close()
    unreachable = Hub(settings(directory))
    await check_hub(unreachable, "6.0.0", attempts=1)
    assert "nobody can sign in here until it answers" in caplog.text
    with pytest.raises(HubUnavailableError):
        await unreachable.version()
    await unreachable.close()
