"""The installer's options: what is accepted, what is refused and how, what is remembered."""

import pytest

from unixspawner_admin.errors import OptionError
from unixspawner_admin.options import Options, Run, parse, read_remembered, render


def test_nothing_given_means_the_documented_defaults() -> None:
    options, run = parse([], {})
    assert options == Options()
    assert run == Run()
    assert options.url == "http://127.0.0.1:8000/"


def test_what_was_remembered_is_kept_and_the_command_line_wins() -> None:
    first, _ = parse(["--port", "8010", "--users-group", "lab", "--demo"], {})
    second, _ = parse(["--port", "8020"], read_remembered(render(first)))
    assert (second.port, second.users_group, second.demo) == (8020, "lab", True)


def test_switches_can_be_taken_back() -> None:
    remembered = read_remembered(render(Options(demo=True, mkhomedir=True)))
    options, _ = parse(["--no-demo", "--no-mkhomedir"], remembered)
    assert not options.demo
    assert not options.mkhomedir


def test_tls_can_be_forgotten() -> None:
    remembered = read_remembered(render(Options(tls_cert="/c.pem", tls_key="/k.pem")))
    options, _ = parse(["--no-tls"], remembered)
    assert (options.tls_cert, options.tls_key) == ("", "")


def test_how_a_run_behaves_is_not_remembered() -> None:
    options, run = parse(["--dry-run", "--no-start", "--packages", "sudo python3-venv"], {})
    assert run == Run(dry_run=True, start=False, packages=("sudo", "python3-venv"))
    assert options == Options()


@pytest.mark.parametrize("text", ["lab", "/lab", "/lab/", "lab/"])
def test_the_base_url_is_normalised(text: str) -> None:
    assert parse(["--base-url", text], {})[0].base_url == "/lab/"


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("::1", "http://[::1]:8000/"),
        ("0.0.0.0", "http://127.0.0.1:8000/"),
        ("192.0.2.7", "http://192.0.2.7:8000/"),
    ],
)
def test_the_address_for_people(bind: str, url: str) -> None:
    assert Options(bind=bind, insecure_http=True).url == url


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "0"], "is not a port"),
        (["--port", "65536"], "is not a port"),
        (["--bind", "hub.example"], "is not an IP address"),
        (["--bind", "127.0.0.1; id"], "is not an IP address"),
        (["--base-url", "/a b"], "has characters"),
        (["--base-url", "/a/../b?c"], "has characters"),
        (["--users-group", "Users"], "is not a Unix name"),
        (["--users-group", "lab users"], "is not a Unix name"),
        (["--users-group", "lab\n"], "is not a Unix name"),
        (["--hub-account", "%sudo"], "is not a Unix name"),
        (["--hub-account", "-u"], "is not a Unix name"),
        (["--hub-account", "a" * 32], "is not a Unix name"),
        (["--users-group", "sudo"], "has rights of its own"),
        (["--hub-account", "root"], "has rights of its own"),
        (["--hub-account", "jupyterhub-users"], "four different names"),
        (["--tls-cert", "/c.pem"], "belong together"),
        (["--tls-cert", "c.pem", "--tls-key", "/k.pem"], "absolute path"),
        (["--tls-cert", "/c.pem", "--tls-key", "/k'; id #"], "absolute path"),
    ],
)
def test_refusals_are_one_sentence(arguments: list[str], reason: str) -> None:
    with pytest.raises(OptionError, match=reason) as caught:
        parse([f"{arguments[0]}={arguments[1]}", *arguments[2:]], {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.0.2.7", "::"])
def test_passwords_do_not_cross_the_network_in_the_clear(bind: str) -> None:
    with pytest.raises(OptionError, match="passwords would cross the network unencrypted"):
        parse(["--bind", bind], {})


@pytest.mark.parametrize(
    "more", [["--insecure-http"], ["--tls-cert", "/c.pem", "--tls-key", "/k.pem"]]
)
def test_a_network_address_with_tls_or_insistence(more: list[str]) -> None:
    assert parse(["--bind", "192.0.2.7", *more], {})[0].bind == "192.0.2.7"


@pytest.mark.parametrize("text", ["port = true", 'port = "8000"', "nonsense = 1", "port 8000"])
def test_a_file_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"install\.toml"):
        read_remembered(text)
