"""`unixspawner status`."""

import json
import sys
import time
from datetime import datetime

import click

from .. import overview, terminal
from .. import status as statuses
from ..errors import AdminError
from ..options import Options

_ALTERNATE, _BACK = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@click.option("--watch", is_flag=True, help="A live view, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    metavar="SECONDS",
    help="Between two looks of the live view (2).",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--wait", type=float, default=0.0, metavar="SECONDS", help="Wait for an answer first."
)
@click.option("--quiet", is_flag=True, help="Only the exit status: 0 when the service answers.")
@click.option("--pid", type=int, default=0, hidden=True, help="Wait while this process lives.")
def status(watch: bool, interval: float, as_json: bool, wait: float, quiet: bool, pid: int) -> None:
    """Who runs what: since when, memory, CPU, processes, applications.

    It looks at the machine's processes, so it works without the hub, too. When that answers, it
    also says when a server was last used, and which ones are just starting or stopping.

    Exit status: 0 the service answers, 1 it runs without an answer, 3 it does not run.
    """
    if quiet:
        answers = statuses.is_answering(wait, pid)
        sys.exit(statuses.RUNNING if answers else statuses.NOT_ANSWERING)
    if wait:
        statuses.is_answering(wait)
    options = statuses.read_options()
    if watch:
        _watch(options, interval)
        return
    found, _ = overview.describe(options, overview.look(options))
    click.echo(json.dumps(statuses.table(found), indent=1) if as_json else _text(found))
    sys.exit(found.code)


def _text(found: overview.Overview) -> str:
    return "\n".join(statuses.lines(found, terminal.width(), datetime.now().astimezone()))


def _watch(options: Options, interval: float) -> None:
    if not terminal.is_terminal():
        raise AdminError("--watch needs a terminal; for programs there is --json.")
    look = overview.look(options)
    sys.stdout.write(_ALTERNATE)
    try:
        while True:
            found, look = overview.describe(options, look)
            sys.stdout.write(_screen(found))
            sys.stdout.flush()
            time.sleep(max(0.0, look.at + interval - time.monotonic()))
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(_BACK)
        sys.stdout.flush()


def _screen(found: overview.Overview) -> str:
    """As many lines as fit, each cut to the width, over those of the look before."""
    size = terminal.size()
    now = datetime.now().astimezone()
    head = f"unixspawner on {terminal.host()}, {now:%H:%M:%S}; end with Ctrl-C"
    lines = [head, *statuses.lines(found, size.columns, now)]
    if len(lines) > size.lines - 1:
        left_out = len(lines) - (size.lines - 2)
        lines = [*lines[: size.lines - 2], f"({left_out} more lines)"]
    shown = (terminal.cut(line, size.columns) + _REST_OF_LINE for line in lines)
    return _HOME + "\n".join(shown) + "\n" + _REST_OF_SCREEN
