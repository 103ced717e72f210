"""Where frames begin and end, whatever pieces they come in."""

from __future__ import annotations

import itertools
import random

import pytest
from tests.unit.singleuser.raw_websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    close,
    frame,
    unmasked,
)

from unixspawner_singleuser.websocket_frames import Frames, close_frame

SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70_000]
FIRSTS = [TEXT, BINARY, 0x01, 0x00, 0x80, PING, PONG]


def passed_in(pieces: list[bytes], frames: Frames) -> bytes:
    return b"".join(frames.passing(piece) for piece in pieces)


def split(data: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(12)))
    ends = [0, *cuts, len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(ends)]


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_frame_passes_byte_by_byte(masked: bool, size: int) -> None:
    frames = Frames(masked=masked, extended=False)
    data = frame(BINARY, b"x" * size, masked=masked)
    for number in range(len(data)):
        assert frames.between == (number == 0 or number < len(data) - size)
        frames.passing(data[number : number + 1])
    assert (frames.between, frames.broken, frames.closed) == (True, False, False)


@pytest.mark.parametrize("seeds", [range(begin, begin + 100) for begin in (0, 100, 200)])
def test_any_frames_in_any_pieces_pass_unchanged(seeds: range) -> None:
    for seed in seeds:
        some_frames_in_some_pieces(random.Random(seed))


def some_frames_in_some_pieces(chance: random.Random) -> None:
    masked = chance.random() < 0.5
    frames = Frames(masked=masked, extended=False)
    data, ends = b"", {0}
    for _ in range(chance.randrange(1, 30)):
        first = chance.choice(FIRSTS)
        size = (
            chance.randrange(126) if first & 8 else chance.choice([*SIZES, chance.randrange(300)])
        )
        data += frame(first, chance.randbytes(size), masked=masked)
        ends.add(len(data))
    so_far = 0
    for piece in split(data, chance):
        so_far += len(frames.passing(piece))
        assert frames.between == (so_far in ends)
    assert so_far == len(data)
    assert not frames.broken


def test_nothing_passes_after_the_close_frame() -> None:
    data = frame(TEXT, b"last words") + frame(CLOSE, close(4001, b"bye"))
    for seed in range(100):
        frames = Frames(masked=False, extended=False)
        pieces = split(data + frame(TEXT, b"more") * 3, random.Random(seed))
        assert passed_in(pieces, frames) == data
        assert (frames.closed, frames.between, frames.broken) == (True, False, False)


def test_half_a_close_frame_is_none_yet() -> None:
    frames = Frames(masked=False, extended=False)
    frames.passing(frame(CLOSE, close(1000))[:-1])
    assert (frames.closed, frames.between) == (False, False)
    frames.passing(frame(CLOSE, close(1000))[-1:])
    assert (frames.closed, frames.between) == (True, False)


@pytest.mark.parametrize(
    "bad",
    [
        b"\x81\x01x",  # not masked
        b"\xc1\x81\x00\x00\x00\x00x",  # a reserved bit that nobody has agreed on
        b"\xa1\x81\x00\x00\x00\x00x",
        b"\x91\x81\x00\x00\x00\x00x",
        b"\x83\x81\x00\x00\x00\x00x",  # an opcode that does not exist
        b"\x8b\x81\x00\x00\x00\x00x",
        b"\x8f\x81\x00\x00\x00\x00x",
        b"\x09\x80\x00\x00\x00\x00",  # a ping in parts
        b"\x89\xfe\x00\x7e\x00\x00\x00\x00",  # a ping too long
        b"\x88\xff\x00\x00\x00\x00\x00\x00\x00\x01",
        b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",  # longer than there is
    ],
)
def test_what_is_no_frame_stops_exactly_there(bad: bytes) -> None:
    for seed in range(100):
        chance = random.Random(seed)
        good = frame(TEXT, b"good", masked=True) * chance.randrange(3)
        frames = Frames(masked=True, extended=False)
        pieces = split(good + bad + frame(TEXT, b"after", masked=True), chance)
        assert passed_in(pieces, frames) == good
        assert (frames.broken, frames.between, frames.closed) == (True, True, False)


def test_an_application_must_not_mask() -> None:
    frames = Frames(masked=False, extended=False)
    assert frames.passing(frame(TEXT, b"x", masked=True)) == b""
    assert frames.broken


def test_with_an_extension_its_bits_pass_but_not_on_control_frames() -> None:
    frames = Frames(masked=False, extended=True)
    compressed = frame(0xC1, b"x")
    assert frames.passing(compressed) == compressed
    assert frames.passing(frame(0xC9)) == b""
    assert frames.broken


def test_data_is_told_from_ping_pong_and_close() -> None:
    def carries(data: bytes) -> bool:
        frames.passing(data)
        return frames.carried_data

    frames = Frames(masked=False, extended=False)
    assert [carries(frame(first, b"x")) for first in FIRSTS] == [True] * 5 + [False] * 2
    assert carries(frame(TEXT, b""))
    assert not carries(frame(PING)[:1])
    assert not carries(frame(PING)[1:] + frame(PONG, b"x"))
    long = frame(BINARY, b"x" * 1000)
    assert [carries(long[:3]), carries(long[3:10]), carries(long[10:500])] == [False, True, True]
    assert carries(long[500:] + frame(PING))
    assert not carries(frame(PING))
    assert carries(frame(PING) + frame(TEXT, b"x") + frame(PING))
    assert not carries(frame(CLOSE, close(1000)) + frame(TEXT, b"x"))


def test_our_close_frames_are_frames() -> None:
    assert close_frame(1012, masked=False) == frame(CLOSE, close(1012))
    data = close_frame(1001, masked=True)
    frames = Frames(masked=True, extended=False)
    assert frames.passing(data) == data
    assert frames.closed
    assert unmasked(data[6:], data[2:6]) == close(1001)
