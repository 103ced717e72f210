"""The mediator's command line: `mediator start` and `mediator stop`, which only sudo calls."""

import sys
import syslog
from collections.abc import Callable

from . import system
from .config import ConfigError
from .errors import EXIT_FAULT, EXIT_REFUSED, Refusal, broken_request
from .protocol import Faulted, ProtocolError, Refused, encode
from .start import StartChannel, answer_start
from .stop import answer_stop

Send = Callable[[bytes], None]


def main() -> int:
    """Answer one request; 0, or EXIT_REFUSED or EXIT_FAULT after saying why."""
    system.open_system_log("mediator")
    if sys.argv[1:] == ["start"]:
        channel = StartChannel()
        return run("start", lambda: answer_start(channel), channel.send)
    if sys.argv[1:] == ["stop"]:
        return run("stop", answer_stop, lambda message: system.reply(0, message))
    system.tell_operator("the hub calls this with the word start or stop; there is nothing else")
    return EXIT_REFUSED


def run(verb: str, answer: Callable[[], None], send: Send) -> int:
    """Do it, and turn every failure into one reply, one log record and an exit status."""
    try:
        answer()
    except Refusal as refusal:
        return _refuse(verb, refusal, send)
    except ProtocolError as error:
        return _refuse(verb, broken_request(str(error)), send)
    except ConfigError as error:
        return _refuse(verb, _broken_configuration(str(error)), send)
    except Exception as error:  # the boundary: nothing of a fault reaches the person
        _record(verb, f"fault {type(error).__name__}: {error}", syslog.LOG_ERR)
        _send(send, encode(Faulted("internal error")))
        return EXIT_FAULT
    return 0


def _broken_configuration(detail: str) -> Refusal:
    return Refusal(
        "bad-configuration",
        "This service is not configured correctly: ask your administrator to run "
        "`unixspawner doctor`.",
        detail,
    )


def _refuse(verb: str, refusal: Refusal, send: Send) -> int:
    _record(verb, f"refused {refusal.code}: {refusal.detail or refusal.message}")
    _send(send, encode(Refused(refusal.code, refusal.message)))
    return EXIT_REFUSED


def _record(verb: str, outcome: str, priority: int = syslog.LOG_WARNING) -> None:
    text = f"{verb} caller={system.caller_name()} {outcome}"
    system.log(priority, text)
    system.tell_operator(text)


def _send(send: Send, message: bytes) -> None:
    try:
        send(message)
    except OSError as error:  # the hub has gone away, or standard input never was a channel
        system.tell_operator(f"nobody reads the reply: {error}")


if __name__ == "__main__":
    sys.exit(main())
