"""The environment that an application starts in: the person's own shell, as after signing in.

With real shells. What the dotfiles do wrong is that application's failure, and nobody else's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.singleuser.fakes import Browser
from tests.unit.singleuser.test_applications import APPS, WORDS, facts, on_demand

from unixspawner_singleuser.account import Account, current_account
from unixspawner_singleuser.catalogue import Catalogue
from unixspawner_singleuser.login_shell import FALLBACK, command_line

HOSTILE = (
    "a b",
    "$(touch stolen)",
    "`id`",
    ";exit",
    "'",
    '"',
    "\\",
    "*",
    "~",
    "é\n",
    "",
    "-c",
    "!!",
)
# For each shell: a file that a login reads, one that an interactive shell reads, how to set.
FILES = {
    "bash": (".bash_profile", ".bashrc", "export {}=1"),
    "zsh": (".zprofile", ".zshrc", "export {}=1"),
    "fish": (".config/fish/conf.d/login.fish", ".config/fish/config.fish", "set -gx {} 1"),
    "dash": (".profile", ".shinit", "export {}=1"),
    "tcsh": (".login", ".tcshrc", "setenv {} 1"),
}
ONLY_IF = {
    "fish": {"login": "status is-login; and {}", "interactive": "status is-interactive; and {}"},
}


@pytest.fixture
def applications() -> Catalogue:
    return Catalogue(
        (
            on_demand("lab", *WORDS, *HOSTILE, shell="interactive", start_timeout=20.0),
            on_demand("login", shell="login"),
            on_demand("none", shell="none"),
            on_demand(
                "set",
                shell="interactive",
                environment=(("COLOUR", "green"), ("WHO", "{user} {name} {prefix}")),
                directory="~/deep/er",
            ),
            on_demand("outside", directory="/nowhere/at/all"),
            on_demand("file", "{home}/plain", "{socket}"),
            on_demand("scripted", "{home}/script", "{socket}"),
            on_demand("hurried", shell="interactive", start_timeout=1.5),
        )
    )


@pytest.fixture
def shell() -> str:
    return "bash"


@pytest.fixture
def account(home: Path, shell: str) -> Account:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    return replace(current_account(), home=str(home), shell=path)


def write(home: Path, name: str, text: str) -> None:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(f"{text}\n")


def prepare(home: Path, shell: str) -> None:
    login, interactive, sets = FILES[shell]
    only = ONLY_IF.get(shell, {})
    write(home, login, only.get("login", "{}").format(sets.format("FROM_LOGIN")))
    if shell == "dash":
        write(home, login, 'export ENV="$HOME/.shinit"')
    if shell == "bash":
        # As Debian's own does: it returns at once when nobody sits in front of it.
        write(home, login, ". ~/.bashrc")
        write(home, interactive, "case $- in *i*) ;; *) return;; esac")
    write(home, interactive, only.get("interactive", "{}").format(sets.format("FROM_INTERACTIVE")))


class TestShells:
    @pytest.mark.parametrize("shell", sorted(FILES))
    async def test_an_application_finds_what_a_session_finds(
        self, alice: Browser, home: Path, shell: str
    ) -> None:
        prepare(home, shell)
        told = await facts(alice, f"{APPS}lab/")
        assert told["environment"]["FROM_LOGIN"] == "1"
        assert told["environment"]["FROM_INTERACTIVE"] == "1"
        assert told["arguments"][1:] == list(HOSTILE)
        assert told["directory"] == str(home)
        log = home / ".local/state/unixspawner/application.lab.log"
        assert told["descriptors"] == ["0 /dev/null", f"1 {log}", f"2 {log}"]
        assert not (home / "stolen").exists()
        page = await (await alice.get(f"{APPS}-/lab/log")).text()
        (block,) = page.split("<pre")[1:]
        said = block.partition(">")[2].partition("</pre>")[0].splitlines()[1:]
        assert said == ["It writes &lt;b&gt;into&lt;/b&gt; its log."]

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash"])
    async def test_a_login_shell_need_not_be_interactive(
        self, alice: Browser, home: Path, shell: str
    ) -> None:
        prepare(home, shell)
        environment = (await facts(alice, f"{APPS}login/"))["environment"]
        assert environment["FROM_LOGIN"] == "1"
        assert "FROM_INTERACTIVE" not in environment

    async def test_without_a_shell_no_dotfile_is_read(self, alice: Browser, home: Path) -> None:
        prepare(home, "bash")
        environment = (await facts(alice, f"{APPS}none/"))["environment"]
        assert "FROM_LOGIN" not in environment
        assert environment["PATH"] == "/usr/local/bin:/usr/bin:/bin"

    def test_an_unknown_shell_gives_way_to_the_systems(self) -> None:
        line = command_line("/opt/bin/nushell", "interactive", ("a", "b"))
        assert line.executable == FALLBACK
        assert line.words == ("sh", "-l", "-i", "+m", "-c", 'exec "$0" "$@"', "a", "b")
        assert line.note == "/opt/bin/nushell is not known here, so /bin/sh reads your ~/.profile."


class TestDotfiles:
    async def test_the_files_environment_has_the_last_word(
        self, alice: Browser, home: Path
    ) -> None:
        write(home, ".bash_profile", "export COLOUR=red; unset UNIXSPAWNER_APPLICATION HOME; cd /")
        told = await facts(alice, f"{APPS}set/")
        environment = told["environment"]
        assert environment["COLOUR"] == "green"
        assert environment["WHO"].endswith(f" set {APPS}set/")
        assert environment["UNIXSPAWNER_APPLICATION"].startswith("set:")
        assert told["directory"] == environment["PWD"] == f"{home}/deep/er"
        assert (home / "deep/er").stat().st_mode & 0o7777 == 0o755

    async def test_what_a_dotfile_leaves_open_or_ignores_is_put_right(
        self, alice: Browser, home: Path
    ) -> None:
        write(home, ".bash_profile", "exec 7</dev/zero; trap '' INT HUP TERM CHLD; umask 027")
        told = await facts(alice, f"{APPS}lab/")
        assert [each for each in told["descriptors"] if each.startswith("7 ")] == []
        assert int(told["signals"]["SigIgn"], 16) & 0b1100000000000011 == 0

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("exit 1", "ended with exit status 1 before it came to start"),
            ("exec true", "ended with exit status 0 before it came to start"),
            ("exec no-such-shell", "ended with exit status 127 before it came to start"),
            ("kill -9 $$", "was ended by SIGKILL before it came to start"),
        ],
    )
    async def test_a_broken_dotfile_is_one_applications_failure(
        self, alice: Browser, home: Path, account: Account, text: str, sentence: str
    ) -> None:
        write(home, ".bash_profile", f"echo >&2 what is to be seen\n{text}")
        response = await alice.get(f"{APPS}lab/")
        page = await response.text()
        assert response.status == 503
        assert f"Your login shell {account.shell} {sentence} Lab: look at what your" in page
        assert "what is to be seen\n" in page
        assert (await facts(alice, f"{APPS}none/"))["target"] == "/"

    async def test_a_dotfile_that_never_ends_is_noticed(
        self, alice: Browser, home: Path, account: Account
    ) -> None:
        write(home, ".bash_profile", "echo it hangs; while :; do :; done")
        page = await (await alice.get(f"{APPS}hurried/")).text()
        assert f"Your login shell {account.shell} took longer than 2 seconds" in page
        assert "it hangs\n" in page
        assert (await facts(alice, f"{APPS}none/"))["target"] == "/"

    @pytest.mark.parametrize(
        "text", ["if then fi", "head -c 300000 /dev/urandom", "false; nonsense"]
    )
    async def test_what_a_dotfile_merely_says_is_no_failure(
        self, alice: Browser, home: Path, text: str
    ) -> None:
        write(home, ".bash_profile", text)
        assert (await facts(alice, f"{APPS}lab/"))["target"] == "/"
        page = await (await alice.get(f"{APPS}-/lab/log")).read()
        assert len(page) < 2_000_000
        page.decode()

    async def test_repaired_dotfiles_count_at_the_next_restart(
        self, alice: Browser, home: Path
    ) -> None:
        write(home, ".bash_profile", "exit 1")
        assert (await alice.get(f"{APPS}lab/")).status == 503
        (home / ".bash_profile").unlink()
        assert (await alice.get(f"{APPS}lab/")).status == 503
        await alice.request("POST", f"{APPS}-/lab/restart?_xsrf={alice.cookies['_xsrf']}")
        assert (await facts(alice, f"{APPS}lab/"))["target"] == "/"


def make_plain(home: Path, mode: int, text: str = "x") -> None:
    (home / "plain").write_text(text)
    (home / "plain").chmod(mode)


class TestStarter:
    async def message(self, browser: Browser, name: str) -> str:
        token = browser.cookies["_xsrf"]
        response = await browser.get(f"{APPS}{name}/", Sec_Fetch_Mode="cors", X_XSRFToken=token)
        assert response.status == 503
        return str((await response.json())["message"])

    async def test_a_directory_outside_of_the_home_is_not_made(self, alice: Browser) -> None:
        expected = "The directory /nowhere/at/all cannot be used: No such file or directory."
        assert await self.message(alice, "outside") == expected
        assert not Path("/nowhere").exists()

    @pytest.mark.parametrize(
        ("make", "reason"),
        [
            (lambda home: None, "does not exist."),
            (lambda home: make_plain(home, 0o644), None),
            (lambda home: make_plain(home, 0o755, "#!/no/such/interpreter\n"), "cannot run: what"),
            (lambda home: make_plain(home, 0o755, "no program"), "cannot run: Exec format error."),
            (lambda home: (home / "plain").mkdir(), None),
        ],
    )
    async def test_why_a_program_cannot_run(
        self, alice: Browser, home: Path, make: Callable[[Path], None], reason: str | None
    ) -> None:
        make(home)
        message = await self.message(alice, "file")
        program = f"program {home}/plain"
        expected = f"The {program} {reason}" if reason else f"You may not run the {program}."
        assert message.startswith(expected)

    async def test_a_home_that_is_not_there_is_not_made(self, alice: Browser, home: Path) -> None:
        home.rmdir()
        expected = f"The directory {home}/deep/er cannot be used: No such file or directory."
        assert await self.message(alice, "set") == expected
        assert not home.exists()
