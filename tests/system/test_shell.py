"""The command at root's shell, as it was installed: its manual page, and what Tab offers.

Run as root.
"""

from __future__ import annotations

import pytest
from tests.system.host import Host

SHARE = "/usr/local/share"


def require(host: Host, program: str) -> None:
    if host.run("sh", "-c", f"command -v {program}", check=False).status != 0:
        pytest.skip(f"there is no {program}")


def test_the_manual_page_is_found_and_read(host: Host) -> None:
    require(host, "man")
    found = host.run("man", "-w", "unixspawner").out.strip()
    assert host.run("readlink", "-f", found).out.strip() == f"{SHARE}/man/man8/unixspawner.8"
    page = host.run("env", "LC_ALL=C.UTF-8", "MANWIDTH=80", "man", "unixspawner").out
    for word in ("NAME", "status", "doctor", "uninstall"):
        assert word in page


BASH = """
. "$1"
COMP_WORDS=(unixspawner s) COMP_CWORD=1
_unixspawner; printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
_describe() { print -l -- "${(@P)3}" }
complete_it() { local -a words=(unixspawner s); local CURRENT=2; source "$1" }
complete_it "$1"
"""
FISH = "source $argv[1]; complete -C 'unixspawner s'"
SHELLS: dict[str, tuple[tuple[str, ...], str]] = {
    "bash": (("bash", "--norc", "-c", BASH, "bash"), "bash-completion/completions/unixspawner"),
    "zsh": (("zsh", "-fc", ZSH, "zsh"), "zsh/site-functions/_unixspawner"),
    "fish": (("fish", "--no-config", "-c", FISH), "fish/vendor_completions.d/unixspawner.fish"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_with_the_installed_file_and_command(host: Host, shell: str) -> None:
    require(host, shell)
    words, file = SHELLS[shell]
    lines = host.run(*words, f"{SHARE}/{file}").out.splitlines()
    assert [line.replace("\t", ":").partition(":")[0] for line in lines] == ["status", "stop"]
