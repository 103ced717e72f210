"""What is asked of a side: many small requests, one at a time, WebSocket messages, large bodies.

Run as a program of its own by the benchmark's environment: `python -m gateway.load KIND ...`
prints one number. wrk makes the small requests; the rest is asyncio, the same for every side.
"""

import asyncio
import re
import statistics
import subprocess
import sys
import time
from contextlib import suppress

from .errors import BenchmarkError

PIECE = b"x" * (256 * 1024)
MEBIBYTE = 1024 * 1024
_TOTAL = re.compile(r"(\d+) requests in ([\d.]+)(m?)s")
_FAILED = re.compile(r"Non-2xx.*: (\d+)|Socket errors: (.*)")


def small_requests(url: str, cookie: str, connections: int, seconds: int) -> tuple[int, float]:
    """How many, and requests per second. Raises BenchmarkError when one of them failed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-H", f"Cookie: {cookie}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    failed = _FAILED.search(done.stdout)
    if failed:
        raise BenchmarkError(f"wrk at {url}: {failed[0]}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    total = _TOTAL.search(done.stdout)
    if rate is None or total is None:
        raise BenchmarkError(f"wrk said: {done.stdout}")
    return int(total[1]), float(rate[1])


async def latency(port: int, path: str, cookie: str, seconds: float) -> float:
    """Median of one request at a time on one connection, in ms."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path}x HTTP/1.1\r\nHost: lab.example\r\nCookie: {cookie}\r\n\r\n".encode()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        writer.write(request)
        length = await _head(reader)
        await reader.readexactly(length)
        times.append(time.perf_counter() - begun)
    writer.close()
    return statistics.median(times[len(times) // 10 :]) * 1000


async def messages(port: int, path: str, cookie: str, seconds: float) -> float:
    """Round trips of a short text per second, eight sockets at a time."""
    counts = await asyncio.gather(*(_one_socket(port, path, cookie, seconds) for _ in range(8)))
    return sum(counts) / seconds


async def _one_socket(port: int, path: str, cookie: str, seconds: float) -> int:
    """A client of a few lines: a library's own cost would level out the differences."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {path}echo HTTP/1.1\r\nHost: lab.example\r\nOrigin: http://lab.example\r\n"
        f"Cookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 101 "):
        raise BenchmarkError(f"No WebSocket at port {port}: {head[:60]!r}")
    frame = b"\x81\xa0\0\0\0\0" + b"x" * 32  # masked with zeros
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        writer.write(frame)
        await reader.readexactly(2 + 32)
        count += 1
    writer.close()
    return count


async def download(port: int, path: str, cookie: str, size: int) -> float:
    """MiB/s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=MEBIBYTE)
    begun = time.perf_counter()
    target = f"{path}download?{size}"
    writer.write(f"GET {target} HTTP/1.1\r\nHost: lab.example\r\nCookie: {cookie}\r\n\r\n".encode())
    left = await _head(reader)
    while left > 0:
        data = await reader.read(MEBIBYTE)
        if not data:
            raise BenchmarkError(f"The download at port {port} broke off.")
        left -= len(data)
    writer.close()
    return size / MEBIBYTE / (time.perf_counter() - begun)


async def upload(port: int, path: str, cookie: str, size: int) -> float:
    """MiB/s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    token = re.search(r"_xsrf=([^;]+)", cookie)
    begun = time.perf_counter()
    writer.write(
        f"POST {path}upload HTTP/1.1\r\nHost: lab.example\r\nCookie: {cookie}\r\n"
        f"X-XSRFToken: {token[1] if token else ''}\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    for _ in range(size // len(PIECE)):
        writer.write(PIECE)
        await writer.drain()
    length = await _head(reader)
    if int(await reader.readexactly(length)) != size:
        raise BenchmarkError(f"The upload at port {port} did not arrive whole.")
    writer.close()
    return size / MEBIBYTE / (time.perf_counter() - begun)


async def _head(reader: asyncio.StreamReader) -> int:
    """The length of the body that follows. Raises BenchmarkError unless the status is 200."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise BenchmarkError(f"Answered with {head[:60]!r}")
    return int(length[1])


def main() -> int:
    kind, port, path, cookie, amount = sys.argv[1:]
    actions = {
        "latency": lambda: latency(int(port), path, cookie, float(amount)),
        "messages": lambda: messages(int(port), path, cookie, float(amount)),
        "download": lambda: download(int(port), path, cookie, int(amount)),
        "upload": lambda: upload(int(port), path, cookie, int(amount)),
    }
    import uvloop  # of the environment; `small_requests` is used outside of it

    with suppress(BrokenPipeError, ConnectionError, asyncio.IncompleteReadError):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                print(runner.run(actions[kind]()))
            except BenchmarkError as error:
                print(error, file=sys.stderr)
                return 1
        return 0
    print("the connection broke off", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
