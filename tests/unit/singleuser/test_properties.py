"""What holds for every request and answer, tried on thousands that a generator puts together.

The pieces are those that parsers disagree about. The numbers are drawn from a fixed seed, so that
what fails here fails again.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from unixspawner_singleuser.errors import BadRequestError
from unixspawner_singleuser.headers import (
    application_cookies,
    request_headers,
    response_headers,
)
from unixspawner_singleuser.logins import way_back
from unixspawner_singleuser.request import path_below, read_cookies, read_request
from unixspawner_singleuser.rewriting import Place, location

ROUNDS = 2000
PREFIX = b"/@/my%20lab/user/alice/"
PLACE = Place(PREFIX, ("@", "my lab", "user", "alice"), ("@", "my lab", "hub"), "me")
HOSTS = frozenset({b"lab.example", b"localhost:80"})
PIECES = (
    rb"/ // \ .. . %2e %2f %5c %00 %zz % @ : ? # & + = ; ' , http https HTTP: :// javascript: evil"
    rb" lab.example localhost:80 user alice /hub/ @/my%20lab/ /@/my%20lab/user/alice/ Path path"
    rb" Domain Max-Age=0 _xsrf _XSRF me ME jupyterhub-hub-login __Host-a $Version a b=1 token x_y"
    rb" x-forwarded-user X_Forwarded_User connection host content-length transfer-encoding chunked"
).split()
PIECES += [b" ", b"\t", b'"', b"\xa0", b"\x85", b"\xe9", b"\xc3\xa9", b"\xff"]
HEADER_NAME = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")


@pytest.fixture
def made() -> Iterator[bytes]:
    """Texts without end, as they may stand in a header."""
    numbers = random.Random(1)

    def forever() -> Iterator[bytes]:
        while True:
            yield b"".join(numbers.choices(PIECES, k=numbers.randrange(14)))

    return forever()


def leads_to(url: bytes) -> bytes | None:
    """The host that a browser goes to, None for the one where it is.

    https://url.spec.whatwg.org/#url-parsing, as far as these pieces need it.
    """
    text = re.sub(rb"[\t\r\n]", b"", url.strip(bytes(range(0x21)))).replace(b"\\", b"/")
    scheme = re.match(rb"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if scheme:
        text = text[scheme.end() :]
        if scheme[1].lower() not in {b"http", b"https"}:
            return scheme[1].lower() + b":"
        if scheme[1].lower() == b"http" and not text.startswith(b"/"):
            return None
    elif not text.startswith(b"//"):
        return None
    return re.split(rb"[/?#]", text.lstrip(b"/"))[0].rpartition(b"@")[2].lower()


def test_a_redirect_never_leads_further_than_the_application_said(made: Iterator[bytes]) -> None:
    for _ in range(ROUNDS):
        said = next(made)
        result = location(said, PLACE, HOSTS)
        there = leads_to(said)
        if there is None or there in HOSTS:
            assert leads_to(result) in {None, *HOSTS}, (said, result)
        else:
            assert result == said


def is_ours(name: str) -> bool:
    name = name.strip().lower()  # more than blanks, as the hub strips them
    return name == "_xsrf" or name.startswith(("me", "jupyterhub-", "__host-"))


def sent_for(pair: bytes) -> bytes:
    """What a browser sends for a cookie that was set so: one without a name as its bare value."""
    name, equals, value = pair.partition(b"=") if b"=" in pair else (b"", b"", pair)
    name, value = name.strip(b" \t"), value.strip(b" \t")
    return name + equals + value if name else value


def test_no_cookie_of_an_application_can_be_taken_for_ours(made: Iterator[bytes]) -> None:
    for _ in range(ROUNDS):
        for _, line in response_headers([(b"set-cookie", next(made))], PLACE, HOSTS):
            pair, *attributes = line.split(b";")
            assert not [name for name in read_cookies((sent_for(pair),)) if is_ours(name)], line
            fields = [each.partition(b"=") for each in attributes]
            assert b"domain" not in {name.strip().lower() for name, _, _ in fields}
            paths = [text.strip() for name, _, text in fields if name.strip().lower() == b"path"]
            for path in (each for each in paths if each.startswith(b"/")):
                plain = re.split(rb"[?#]", path)[0] + b"/"
                assert path_below(plain, PLACE.segments) is not None, line


def test_of_a_cookie_header_exactly_ours_are_left_out(made: Iterator[bytes]) -> None:
    secrets = (b"me=SECRET", b"_xsrf=SECRET", b"jupyterhub-session-id=SECRET")
    for _ in range(ROUNDS):
        theirs = next(made)
        pairs = [each for pair in theirs.split(b";") for each in (pair, *secrets)]
        left = application_cookies(b"; ".join(pairs), "me")
        assert b"SECRET" not in left
        assert not [name for name in read_cookies((left,)) if is_ours(name)], theirs
        for pair in theirs.split(b";"):
            name = pair.decode("latin-1").lstrip("= \t\xa0\x85").partition("=")[0]
            assert is_ours(name) or pair.strip() in left, theirs


def test_a_request_is_understood_or_refused(made: Iterator[bytes]) -> None:
    understood = 0
    for number in range(ROUNDS):
        headers = [(HEADER_NAME.sub(b"", next(made)) or b"x", next(made)) for _ in range(4)]
        scope = {
            "type": "http",
            "method": "GET",
            "raw_path": (b"", b"/", PREFIX)[number % 3] + next(made),
            "query_string": next(made),
            "headers": headers,
        }
        try:
            request = read_request(scope, PLACE.segments)
        except BadRequestError:
            continue
        understood += 1
        if request.below is not None:
            segments = re.split(r"[/\\]", unquote(request.below.decode("latin-1")))
            assert not {".", ".."} & set(segments)
        assert leads_to(way_back(request, "/home/").encode()) is None
        passed = request_headers(request.headers, session_cookie="me", authorization_used=False)
        names = [re.sub(rb"[^a-z0-9]", b"-", name) for name, _ in passed]
        assert not {b"x-forwarded-user", b"connection", b"transfer-encoding"} & set(names)
        for framing in (b"host", b"content-length"):
            assert names.count(framing) == len(request.fields.get(framing, ()))
    assert understood > ROUNDS / 2
