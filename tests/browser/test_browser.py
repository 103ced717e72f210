"""What a person sees, in a real Chromium: sign-in, progress, the demo page, and out again."""

from __future__ import annotations

from tests.browser.looks import expect_fit
from tests.browser.webdriver import Browser
from tests.system.accounts import Account, Accounts, changed
from tests.system.host import Host
from tests.system.sessions import held_sessions

DESKTOP = (1200, 800)


def open_sign_in(chromium: Browser, host: Host) -> None:
    chromium.go(host.url)
    chromium.wait_until_visible("#username_input")


def sign_in(chromium: Browser, person: Account) -> None:
    chromium.type_into("#username_input", person.name)
    chromium.type_into("#password_input", person.password)
    chromium.click("#login_submit")


def expect_demo_page(chromium: Browser, person: Account) -> None:
    chromium.wait_for_text(f"Hello, {person.name}", "h1")
    assert chromium.url.endswith(f"/user/{person.name}/")
    assert chromium.text("#uid") == str(person.uid)
    assert chromium.text("#proof").startswith("checked by the kernel")
    # Its WebSocket too: a sign-out in the middle of the handshake cuts it, and the console says so.
    chromium.wait_for_text("open", "#echo-state")


def test_a_person_signs_in_is_served_signs_out_and_in_again(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    chromium.resize(*DESKTOP)
    open_sign_in(chromium, host)
    machine = host.run("hostname").out.strip()
    assert f"Unix account on {machine}" in chromium.text("#which-account")
    chromium.picture("1-sign-in")

    sign_in(chromium, accounts.alice)
    expect_demo_page(chromium, accounts.alice)
    chromium.picture("2-demo-page")

    chromium.click("#logout")
    chromium.wait_until_visible("a[href*='login'], #username_input")
    chromium.picture("3-signed-out")
    chromium.go(f"{host.url}user/alice/")
    chromium.wait_until_visible("#username_input")

    sign_in(chromium, accounts.alice)
    expect_demo_page(chromium, accounts.alice)
    assert chromium.complaints() == []


def test_the_progress_of_a_start_is_shown(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    chromium.resize(*DESKTOP)
    open_sign_in(chromium, host)
    with held_sessions(host) as release:
        sign_in(chromium, accounts.alice)
        chromium.wait_for_text("Opening a session for alice", "#progress-message")
        assert "/hub/spawn-pending/alice" in chromium.url
        chromium.picture("4-progress")
        release()
    expect_demo_page(chromium, accounts.alice)


def test_a_missing_home_is_told_in_a_sentence_on_the_first_page(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    bob, elsewhere = accounts.bob, f"{accounts.bob.home}.elsewhere"
    chromium.resize(*DESKTOP)
    open_sign_in(chromium, host)
    with changed(host, ("mv", bob.home, elsewhere), ("mv", elsewhere, bob.home)):
        sign_in(chromium, bob)
        chromium.wait_for_text(f"Your home directory {bob.home} does not exist: ask your")
        expect_fit(chromium, "home-missing")


def test_the_websocket_arrives_as_the_same_person(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    open_sign_in(chromium, host)
    sign_in(chromium, accounts.alice)
    expect_demo_page(chromium, accounts.alice)
    chromium.type_into("#echo-text", "good morning")
    chromium.click("#echo-form button")
    chromium.wait_for_text("alice: good morning", "#echo-log")


def test_a_wrong_password_is_told_in_a_sentence(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    open_sign_in(chromium, host)
    chromium.type_into("#username_input", "alice")
    chromium.type_into("#password_input", "not it")
    chromium.click("#login_submit")
    chromium.wait_for_text("Wrong user name or password.", ".login_error")
    chromium.picture("5-wrong-password")


def test_the_demo_page_fits_every_screen_and_can_be_read(
    host: Host, accounts: Accounts, chromium: Browser
) -> None:
    open_sign_in(chromium, host)
    sign_in(chromium, accounts.alice)
    expect_demo_page(chromium, accounts.alice)
    chromium.wait_for_text("open", "#echo-state")
    expect_fit(chromium, "demo")
