"""The command line that makes a person's login shell prepare an environment and then step aside.

Run as the person signed in. Dotfiles decide by these flags what they do: an application should find
the PATH, the modules and the conda environment that an ssh session has. There is no terminal, and
`+m` keeps shells from looking for one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from .catalogue import Shell

# The words after the text become its parameters: nothing is ever pasted into it.
_POSIX_TEXT = 'exec "$0" "$@"'
_POSIX = frozenset({"sh", "bash", "rbash", "zsh", "dash", "ash", "ksh", "ksh93", "mksh", "yash"})
_CSH = frozenset({"csh", "tcsh", "bsd-csh"})
FALLBACK = "/bin/sh"
# bash says this whatever its flags, before it reads the first dotfile.
NOISE = (
    "bash: cannot set terminal process group",
    "bash: no job control in this shell",
)


@dataclass(frozen=True, slots=True)
class CommandLine:
    executable: str
    words: tuple[str, ...]
    note: str = ""  # what the person should know about it


def command_line(shell: str, kind: Shell, words: Sequence[str]) -> CommandLine:
    """Runs `words` from a login shell, or as they are where that is not wanted."""
    if kind == "none":
        return CommandLine(words[0], tuple(words))
    interactive = kind == "interactive"
    name, note = os.path.basename(shell), ""
    flags: tuple[str, ...]
    if name == "fish":
        flags = ("-l", "-i") if interactive else ("-l",)
        return CommandLine(shell, (name, *flags, "-c", "exec $argv", *words))
    if name in _CSH:
        # A dash in front of the name is the only thing that makes it a login shell here.
        flags = ("-i",) if interactive else ()
        return CommandLine(shell, (f"-{name}", *flags, "-c", "exec $argv:q", *words))
    if name not in _POSIX:
        note = f"{shell or 'No shell'} is not known here, so {FALLBACK} reads your ~/.profile."
        shell, name = FALLBACK, os.path.basename(FALLBACK)
    flags = ("-l", "-i", "+m") if interactive else ("-l",)
    return CommandLine(shell, (name, *flags, "-c", _POSIX_TEXT, *words), note)
