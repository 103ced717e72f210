"""The words that the hub and the privileged programs exchange; both sides import this page.

One message is one JSON object in one datagram: a version, a kind, exact fields of exact types.
What does not fit in all respects is refused as a whole. Descriptors travel beside the start
request: first the listening socket, then the write end of the status pipe. On the status pipe
every message is one line, and end-of-file after `starting` means that the server's program runs.

Named tuples, not dataclasses: importing `dataclasses` takes a third of a mediator's life.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, NoReturn, TypeVar, cast, get_args, overload

VERSION = 1
MAX_REQUEST = 64 * 1024  # octets; a start request with all its environment is about 3 KiB
MAX_REPLY = 8 * 1024  # octets, for all that may come over one status pipe
LOG_TAIL = 2000  # characters; fits a reply however it is encoded
MAX_EXAMINED = 100  # accounts in one request; the longest names fit a reply
MAX_UID = 2**32 - 2  # the number after it means "no account"

USER_NAME = re.compile(r"(?=.*[A-Za-z_.-])[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}", re.ASCII)
"""What we accept as an account's name. Never an option, a uid, a path or a control character."""
SERVER_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
BOOT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
CODE = re.compile(r"[a-z][a-z-]{0,40}", re.ASCII)
TROUBLE = re.compile(r"([a-z][a-z-]{0,40})?", re.ASCII)
# At most four octets a character, so that the longest text fits a reply; no control characters.
TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,1000}")
LOG_TEXT = re.compile(rf"[^\x00-\x08\x0b-\x1f\x7f]{{0,{LOG_TAIL}}}")
SERVER_NAME = re.compile(r"[^\x00-\x1f\x7f]{0,255}")
PASSWORD = re.compile(r"[^\x00]{1,1024}", re.DOTALL)
VALUE = re.compile(r"[^\x00]{0,16384}", re.DOTALL)


class ProtocolError(ValueError):
    """A message that is not exactly as described here."""


class ProcessIdentity(NamedTuple):
    """One process of one boot: the pid alone may be somebody else's tomorrow.

    `start_time` is in clock ticks since boot (field 22 of /proc/PID/stat, see proc(5)).
    """

    pid: int
    start_time: int
    boot_id: str


def unknown_process(boot_id: str) -> ProcessIdentity:
    """What a stop names when a start was interrupted before the hub learned of its process."""
    return ProcessIdentity(0, 0, boot_id)


class StartRequest(NamedTuple):
    user: str
    server_name: str
    server_id: str
    environment: dict[str, str]


class StopRequest(NamedTuple):
    """`user` and `uid` as they were when the server started; by now the name may be gone.

    `process` may be unknown_process(): then the server's mark alone tells what to end.
    """

    user: str
    uid: int
    server_name: str
    server_id: str
    process: ProcessIdentity


class AuthenticateRequest(NamedTuple):
    user: str
    password: str


class ExamineRequest(NamedTuple):
    """Which of these people, who are signed in, may not go on?"""

    users: list[str]


class Starting(NamedTuple):
    """The mediator is about to become the server's program.

    `trouble` is a code and `message` a sentence when something is wrong with the home, else empty.
    """

    process: ProcessIdentity
    ignored_environment: list[str]
    trouble: str = ""
    message: str = ""


class Stopped(NamedTuple):
    """How many processes were signalled, how many would not end, and the server's last lines."""

    signalled: int
    left: int
    log_tail: str


class Authenticated(NamedTuple):
    user: str


Verdict = Literal["open", "locked", "expired", "unknown"]


class Examined(NamedTuple):
    """A word for each account; "unknown" is no reason for anything."""

    verdicts: dict[str, Verdict]


class Refused(NamedTuple):
    code: str
    message: str


class Faulted(NamedTuple):
    message: str


Request = StartRequest | StopRequest | AuthenticateRequest | ExamineRequest
Asked = TypeVar("Asked", bound=Request)
Also = TypeVar("Also", bound=Request)
Reply = Starting | Stopped | Authenticated | Examined | Refused | Faulted
Fields = dict[str, Any]
"""The one place where untyped values live: between json and the parsers below."""


def _fail(reason: str) -> NoReturn:
    raise ProtocolError(reason)


def _text(pattern: re.Pattern[str]) -> Callable[[str, object], str]:
    def parse(name: str, value: object) -> str:
        if not isinstance(value, str):
            _fail(f"{name} is not a string")
        if not pattern.fullmatch(value):
            _fail(f"{name} has a form that is not allowed")
        try:
            value.encode()
        except UnicodeEncodeError:
            _fail(f"{name} is not valid Unicode")
        return value

    return parse


def _natural(name: str, value: object) -> int:
    # bool is a subclass of int: `true` must not pass for 1
    if type(value) is not int or not 0 < value < 2**63:
        _fail(f"{name} is not a positive integer")
    return value


def _count(name: str, value: object) -> int:
    return 0 if type(value) is int and value == 0 else _natural(name, value)


def _uid(name: str, value: object) -> int:
    # root's number is none that anything is asked for
    if _natural(name, value) > MAX_UID:
        _fail(f"{name} is no account's number")
    return _natural(name, value)


def _environment(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > 500:
        _fail(f"{name} is not an object of at most 500 members")
    check_name, check_value = _text(VARIABLE), _text(VALUE)
    return {
        check_name(f"{name} name", key): check_value(f"{name} value of {key}", member)
        for key, member in value.items()
    }


def _names(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > 500:
        _fail(f"{name} is not a list of at most 500 members")
    check = _text(VARIABLE)
    return [check(name, member) for member in value]


def _users(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_EXAMINED:
        _fail(f"{name} is not a list of 1 to {MAX_EXAMINED} members")
    check = _text(USER_NAME)
    users = [check(name, member) for member in value]
    if len(set(users)) != len(users):
        _fail(f"{name} has a member twice")
    return users


def _verdicts(name: str, value: object) -> dict[str, Verdict]:
    if not isinstance(value, dict) or len(value) > MAX_EXAMINED:
        _fail(f"{name} is not an object of at most {MAX_EXAMINED} members")
    check_user, check_word = _text(USER_NAME), _text(_VERDICT)
    return {
        check_user(f"{name} name", user): cast(Verdict, check_word(f"{name} value", word))
        for user, word in value.items()
    }


_VERDICT = re.compile("|".join(get_args(Verdict)), re.ASCII)
_PARSERS: dict[str, Callable[[str, object], Any]] = {
    "user": _text(USER_NAME),
    "users": _users,
    "uid": _uid,
    "verdicts": _verdicts,
    "server_name": _text(SERVER_NAME),
    "server_id": _text(SERVER_ID),
    "environment": _environment,
    "password": _text(PASSWORD),
    "pid": _natural,
    "start_time": _natural,
    "boot_id": _text(BOOT_ID),
    "ignored_environment": _names,
    "trouble": _text(TROUBLE),
    "stop.pid": _count,
    "stop.start_time": _count,
    "signalled": _count,
    "left": _count,
    "log_tail": _text(LOG_TEXT),
    "code": _text(CODE),
    "message": _text(TEXT),
}

_IDENTITY = ("pid", "start_time", "boot_id")
# The tag of a message and the fields beside it, in the order of the tuple's members.
_SHAPES: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "start": (StartRequest, ("user", "server_name", "server_id", "environment")),
    "stop": (StopRequest, ("user", "uid", "server_name", "server_id", *_IDENTITY)),
    "authenticate": (AuthenticateRequest, ("user", "password")),
    "examine": (ExamineRequest, ("users",)),
    "starting": (Starting, (*_IDENTITY, "ignored_environment", "trouble", "message")),
    "stopped": (Stopped, ("signalled", "left", "log_tail")),
    "authenticated": (Authenticated, ("user",)),
    "examined": (Examined, ("verdicts",)),
    "refused": (Refused, ("code", "message")),
    "fault": (Faulted, ("message",)),
}
_TAGS = {shape: tag for tag, (shape, _fields) in _SHAPES.items()}
_VERBS = ("start", "stop", "authenticate", "examine")


def _unique(pairs: list[tuple[str, Any]]) -> Fields:
    """A JSON object in which no key is given twice (json keeps the last without a word)."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        _fail("a key is given twice")
    return fields


def _constant(name: str) -> NoReturn:
    _fail(f"{name} is not a JSON number")


def _read_object(data: bytes, limit: int) -> Fields:
    if len(data) > limit:
        _fail(f"longer than {limit} octets")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant
        )
    except RecursionError:  # what json raises on '[[[[…'; it is no ValueError
        _fail("nested too deeply")
    except ProtocolError:
        raise
    except ValueError:
        _fail("not JSON in UTF-8")
    if not isinstance(value, dict):
        _fail("not a JSON object")
    return value


def _decode(data: bytes, limit: int, tag_name: str) -> Any:
    fields = _read_object(data, limit)
    version, tag = fields.pop("version", None), fields.pop(tag_name, None)
    if type(version) is not int or version != VERSION:
        _fail(f"version is not {VERSION}")
    if not isinstance(tag, str) or tag not in _SHAPES or (tag in _VERBS) != (tag_name == "verb"):
        _fail(f"unknown {tag_name}")
    shape, names = _SHAPES[tag]
    if fields.keys() != set(names):
        _fail(f"{tag} needs exactly the fields {', '.join(names)}")
    parsers = [_PARSERS.get(f"{tag}.{name}") or _PARSERS[name] for name in names]
    values = [parse(name, fields[name]) for parse, name in zip(parsers, names, strict=True)]
    if _IDENTITY[0] in names:
        start = names.index(_IDENTITY[0])
        identity = ProcessIdentity(*values[start : start + 3])
        if bool(identity.pid) != bool(identity.start_time):
            _fail("pid is not a positive integer")
        values[start : start + 3] = [identity]
    return shape(*values)


@overload
def decode_request(data: bytes, shape: type[Asked], /) -> Asked: ...
@overload
def decode_request(data: bytes, shape: type[Asked], other: type[Also], /) -> Asked | Also: ...
def decode_request(data: bytes, *shapes: type[Any]) -> Any:
    """Read what the hub asks of a program that answers requests of these kinds.

    Raises:
        ProtocolError: it is not exactly one well-formed request of such a kind.
    """
    request = _decode(data, MAX_REQUEST, "verb")
    if not isinstance(request, shapes):
        _fail("another verb than the program was called for")
    return request


def decode_reply(data: bytes) -> Reply:
    """Read what a privileged program answers; for the hub it is as untrusted as the person.

    Raises:
        ProtocolError: it is not exactly one well-formed reply.
    """
    reply: Reply = _decode(data, MAX_REPLY, "kind")
    return reply


def encode(message: Request | Reply) -> bytes:
    """One message as it travels, without a line end."""
    tag = _TAGS[type(message)]
    values: list[object] = []
    for member in message:
        values.extend(member if isinstance(member, ProcessIdentity) else [member])
    fields: Fields = {"version": VERSION, "verb" if tag in _VERBS else "kind": tag}
    fields.update(zip(_SHAPES[tag][1], values, strict=True))
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")


def printable(text: str, limit: int) -> str:
    """`text` on one line, escaped and cut, fit for a log record or a `message` field."""
    cut = text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
