"""The command line: starts the sides, measures them in turn and prints.

Run by anybody through benchmarks/gateway/run. Times depend on the machine, so a missed target is no
failure unless `--check` is given.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from . import environment, figures, measure, sides
from .errors import BenchmarkError
from .figures import Round, Weight
from .load import MEBIBYTE
from .measure import Effort
from .weigh import weigh

WEIGHINGS = 3


def main() -> int:
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    rounds: list[Round] = []
    weights: list[Weight] = []
    try:
        _measure(options, rounds, weights)
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
    finally:
        if options.remove:
            environment.remove(options.environments)
    if rounds:
        print(f"\n{figures.report(rounds, weights)}")
        if options.json is not None:
            kept = {
                "rounds": [{name: asdict(turn) for name, turn in one.items()} for one in rounds],
                "weights": [asdict(one) for one in weights],
            }
            options.json.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    if len(rounds) < options.rounds:
        return 130
    return 1 if options.check and figures.missed(rounds, weights) else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/gateway/run",
        description="Measures the whole way to an application, ours and the stock one, and then "
        "our gateway alone beside configurable-http-proxy, jupyter-server-proxy and the "
        "application itself. See benchmarks/README.md.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="how many (5)")
    add("--seconds", type=int, default=5, help="for each measurement (5)")
    add("--connections", type=int, default=16, help="of the small requests (16)")
    add("--body", type=int, default=2048, metavar="MIB", help="size of the large bodies (2048)")
    add("--check", action="store_true", help="exit status 1 when a target is missed")
    add("--json", type=Path, metavar="FILE", help="every measurement, as JSON")
    add(
        "--release",
        type=Path,
        default=Path("/opt/unixspawner/current"),
        help="whose interpreter and proxy are run (the installed one)",
    )
    add("--source", type=Path, metavar="DIR", help="run our server from here: a clone's singleuser")
    add(
        "--environments",
        type=Path,
        default=Path("/opt/unixspawner-benchmark"),
        help="where the environment of the other sides is kept",
    )
    add("--remove", action="store_true", help="remove that environment at the end")
    return parser.parse_args()


def _measure(options: argparse.Namespace, rounds: list[Round], weights: list[Weight]) -> None:
    """Add what is finished to both lists, which keep it when something later is interrupted."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is missing: apt-get install wrk")
    if not (options.release / "bin/python").exists():
        raise BenchmarkError(f"There is no release at {options.release}: run ./install first.")
    where = environment.build(options.environments)
    effort = Effort(options.seconds, options.connections, options.body * MEBIBYTE)
    what = sides.programs(where, options.release, options.source)
    for _ in range(WEIGHINGS):
        with tempfile.TemporaryDirectory(prefix="gateway-benchmark-") as work:
            weights.append(weigh(what, Path(work)))
    with (
        tempfile.TemporaryDirectory(prefix="gateway-benchmark-") as work,
        sides.running(what, Path(work)) as running,
    ):
        python = str(where / "bin/python")
        # round 0 fills caches and imports what is imported late; it does not count
        warm = Effort(1, options.connections, 32 * MEBIBYTE)
        for number in range(options.rounds + 1):
            done = measure.one_round(number, running, python, effort if number else warm)
            _tell(number, options.rounds, done)
            if number:
                rounds.append(done)


def _tell(number: int, last: int, done: Round) -> None:
    which = f"round {number} of {last}" if number else "warming up"
    rates = (f"{name} {turn.requests:.0f}/s" for name, turn in done.items())
    print(f"{which}: {', '.join(rates)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
