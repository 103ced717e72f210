"""The command line: lends the machine what is needed, measures, prints, and takes all of it back.

Run by root through benchmarks/spawn/run. It asserts nothing: times depend on the machine.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from . import figures, hubs, installation, machine, measure, stock
from .errors import BenchmarkError
from .figures import Round

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    options = _parse()
    if os.geteuid() != 0:
        print("This makes accounts and a sudo rule: run it as root on a throw-away machine.")
        return 2
    for number in _ENDINGS:
        signal.signal(number, _interrupt)
    rounds: list[Round] = []
    try:
        _measure(options, rounds)
    except BenchmarkError as error:
        print(f"{error.log}\n\n{error}" if error.log else error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything is taken back.", file=sys.stderr)
    finally:
        if options.remove:
            stock.remove()
    if not rounds:
        return 130
    _show(options, rounds)
    return 0 if len(rounds) == options.rounds else 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/spawn/run",
        description="Measures the installed unixspawner beside stock SudoSpawner and beside a root "
        "LocalProcessSpawner, round by round. See benchmarks/README.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--rounds", type=_positive, default=10, help="how many (10)")
    parser.add_argument("--users", type=_positive, default=12, help="people at once (12)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every measurement, as JSON")
    parser.add_argument(
        "--remove", action="store_true", help="also remove the stock environment in /opt at the end"
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 99:
        raise argparse.ArgumentTypeError("give a number from 1 to 99")
    return number


def _interrupt(*_: object) -> None:
    """Once is enough: nothing interrupts the taking back."""
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _measure(options: argparse.Namespace, rounds: list[Round]) -> None:
    """Add finished rounds to `rounds`, which keeps them when a later one is interrupted."""
    installed = installation.find()
    print(f"Measuring {installed.release}", flush=True)
    environment = stock.build()
    sudospawner = environment / "bin/sudospawner"
    with (
        machine.lent(options.users, installed.users_group, sudospawner) as people,
        hubs.running(installed, environment) as sides,
    ):
        for side in sides.values():
            for person in people:
                side.hub.add(person.name)
        # round 0 makes home directories and fills caches; it does not count
        for number in range(options.rounds + 1):
            done = measure.one_round(number, sides, people, installed)
            _tell(number, options.rounds, done)
            if number:
                rounds.append(done)
            else:
                for name, side in sides.items():
                    print(f"  first page of {name}: {side.hub.titles[people[0].name]!r}")


def _tell(number: int, last: int, done: Round) -> None:
    which = f"round {number} of {last}" if number else "warming up"
    starts = (f"{name} {side.alone.start:.2f} s" for name, side in done.sides.items())
    print(f"{which}: {', '.join(starts)}", flush=True)


def _show(options: argparse.Namespace, rounds: list[Round]) -> None:
    print("\n" + figures.report(rounds, options.users))
    if options.json is not None:
        text = json.dumps(figures.as_json(rounds, options.users), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
