"""Becomes an application's program, at the end of what the person's login shell did.

Run as the person signed in, by path and with the standard library alone: `python -I -S starter.py
ORDER`. The shell only ever sees that line; what to start stands in the file ORDER, so no word of
it passes through anybody's quoting. Whatever the dotfiles left behind (another directory, trapped
signals, open files) is put right here, and what goes wrong is told in a sentence.
"""

import errno
import json
import os
import signal
import sys
from typing import NoReturn

STATUS = 127
# Of a thousand: how much sooner the kernel ends a program than the gateway, when memory runs out.
GIVES_WAY = 200
_KEPT = {signal.SIGKILL, signal.SIGSTOP}


class CannotStartError(Exception):
    """The text is a sentence for the person."""


def main(path: str) -> NoReturn:
    with open(path, "rb") as file:
        order = json.load(file)
    report = os.open(order["report"], os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        environment = _environment(order)
        environment["PWD"] = _enter(order["directory"], order["home"])
        _clean(report)
        _give_way()
        os.write(report, b'{"runs": true}\n')
        _become(order["words"], environment)
    except CannotStartError as error:
        os.write(report, json.dumps({"error": str(error)}).encode() + b"\n")
        sys.stderr.write(f"{error}\n")
    sys.stderr.flush()
    os._exit(STATUS)


def _environment(order: dict[str, dict[str, str]]) -> dict[str, str]:
    """What the login shell made of it, and on top what this start needs."""
    environment = dict(os.environ)
    for name in ("_", "OLDPWD", "SHLVL"):
        environment.pop(name, None)
    if environment.get("TERM") == "dumb":
        del environment["TERM"]  # set for the shell's sake: there is no terminal
    return environment | order["environment"]


def _enter(directory: str, home: str) -> str:
    """Goes there; makes it first when it is missing and the person's own home is not."""
    below_home = os.path.normpath(directory).startswith(os.path.normpath(home) + "/")
    try:
        if below_home and os.path.isdir(home):
            os.makedirs(directory, mode=0o755, exist_ok=True)
        os.chdir(directory)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CannotStartError(f"The directory {directory} cannot be used: {reason}.") from None
    return directory


def _clean(report: int) -> None:
    for number in signal.valid_signals() - _KEPT:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != report:
            try:
                os.close(int(name))
            except OSError:
                continue  # the one that listed them


def _give_way() -> None:
    """The gateway stays, and can tell what has happened. See oom_score_adj in proc(5)."""
    try:
        with open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
            if int(file.read()) < GIVES_WAY:
                file.write(str(GIVES_WAY))
    except OSError:
        return


def _become(words: list[str], environment: dict[str, str]) -> NoReturn:
    program = words[0]
    try:
        os.execvpe(program, words, environment)  # noqa: S606  no shell is what we want
    except OSError as error:
        raise CannotStartError(_why_not(program, error, environment)) from None


def _why_not(program: str, error: OSError, environment: dict[str, str]) -> str:
    if error.errno == errno.ENOENT and "/" not in program:
        path = environment.get("PATH", "")
        return f"The program {program} was not found in your PATH ({path})."
    if error.errno == errno.ENOENT and os.path.exists(program):
        return f"The program {program} cannot run: what its first line names does not exist."
    if error.errno == errno.ENOENT:
        return f"The program {program} does not exist."
    if error.errno == errno.EACCES:
        return f"You may not run the program {program}."
    return f"The program {program} cannot run: {error.strerror}."


if __name__ == "__main__":
    main(sys.argv[1])
