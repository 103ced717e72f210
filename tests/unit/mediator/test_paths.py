"""No two servers of a person share a log."""

import itertools

from unixspawner_mediator.paths import server_log

NAMES = [
    "",
    "a",
    "b-c",
    "a-b",
    "A",
    "server",
    "server.log",
    "log",
    ".",
    "..",
    "../x",
    "a/b",
    "é",
    " ",
]


def test_different_servers_have_different_logs_in_one_directory() -> None:
    logs = [server_log("/home/alice", name) for name in NAMES]
    assert all(one != other for one, other in itertools.combinations(logs, 2))
    assert {log.rpartition("/")[0] for log in logs} == {"/home/alice/.local/state/unixspawner"}


def test_the_plain_names_stay_readable() -> None:
    assert server_log("/h", "").endswith("/server.log")
    assert server_log("/h", "gpu-lab").endswith("/server.gpu-lab.log")
