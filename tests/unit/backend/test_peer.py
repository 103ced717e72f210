"""Who is calling: the kernel's word, the header's, and what is never believed."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from typing import Any

import pytest

from unixspawner_backend.peer import (
    _VISITOR,
    CALLER_KEY,
    PEER_KEY,
    Caller,
    CallerError,
    CallerMiddleware,
    Message,
    PeerCredentials,
    Proof,
    Receive,
    Scope,
    Send,
    account_name_in,
    caller_by_name,
    caller_by_uid,
    peer_credentials,
    with_peer,
)

ME = pwd.getpwuid(os.getuid())
MY_PEER = PeerCredentials(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())
# Fake: no machine gives this number to an account, because uid_t -2 is reserved by convention and
# by systemd.
NO_SUCH_UID = 4294967294


class Recorder:
    """An application that remembers the scope, and the messages a middleware sent past it."""

    def __init__(self) -> None:
        self.scope: Scope | None = None
        self.sent: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope

    async def receive(self) -> Message:
        raise AssertionError("nothing reads the request here")

    async def send(self, message: Message) -> None:
        self.sent.append(message)


def make_scope(kind: str = "http", *headers: tuple[bytes, bytes], peer: Any = MY_PEER) -> Scope:
    scope: Scope = {"type": kind, "headers": list(headers)}
    if peer is not None:
        scope[PEER_KEY] = peer
    return scope


async def call(scope: Scope, proof: Proof = Proof.KERNEL) -> Recorder:
    recorder = Recorder()
    await CallerMiddleware(recorder, proof)(scope, recorder.receive, recorder.send)
    return recorder


def test_credentials_of_a_unix_socket_are_our_own() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer_credentials(left) == MY_PEER


def test_a_tcp_connection_has_no_peer_credentials() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted, pytest.raises(CallerError, match="Unix socket only"):
            peer_credentials(accepted)


def test_a_uid_becomes_the_account_with_the_groups_that_id_prints() -> None:
    caller = caller_by_uid(os.getuid())
    expected = subprocess.run(
        ["id", "-Gn"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert (caller.name, caller.uid, caller.gid) == (ME.pw_name, ME.pw_uid, ME.pw_gid)
    assert sorted(caller.groups) == sorted(expected)
    assert caller.proof is Proof.KERNEL


def test_a_uid_without_account_is_refused() -> None:
    with pytest.raises(
        CallerError, match=f"^User id {NO_SUCH_UID} has no account on this machine.$"
    ):
        caller_by_uid(NO_SUCH_UID)


def test_a_name_without_account_is_refused_and_not_repeated() -> None:
    with pytest.raises(CallerError) as refused:
        caller_by_name("no-such-account-here")
    assert "no-such-account-here" not in str(refused.value)


@pytest.mark.parametrize(
    "value", [b"", b"-x", b"a b", b"a\nb", b"<b>", b"a/b", b"\xe9", b"x" * 257]
)
def test_a_header_that_is_no_account_name_is_refused(value: bytes) -> None:
    with pytest.raises(CallerError, match="exactly one account name"):
        account_name_in([(b"X-Forwarded-User", value)], b"x-forwarded-user")


@pytest.mark.parametrize(
    "value", [b"alice", b"alice.b", b"a_b-c", b"ALICE", b"alice@lab", b"LAB\\alice"]
)
def test_account_names_of_the_wild_are_read(value: bytes) -> None:
    assert account_name_in([(b"x-forwarded-user", value)], b"x-forwarded-user") == value.decode()


def test_a_repeated_header_is_refused() -> None:
    with pytest.raises(CallerError):
        account_name_in(
            [(b"x-forwarded-user", b"alice"), (b"X-FORWARDED-USER", b"bob")], b"x-forwarded-user"
        )


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "name", [b"x-forwarded-user", b"X-Forwarded-User", b"x_forwarded_user", b"remote-user"]
)
async def test_a_forged_identity_header_changes_nothing(kind: str, name: bytes) -> None:
    recorder = await call(make_scope(kind, (name, b"daemon"), (name, b"bin")))
    assert recorder.scope is not None
    assert recorder.scope[CALLER_KEY] == caller_by_uid(os.getuid())
    assert recorder.sent == []


async def test_a_visitor_is_shown_and_does_not_become_the_caller() -> None:
    recorder = await call(make_scope("http", (b"x-forwarded-visitor", b"bob")))
    assert recorder.scope is not None
    caller: Caller = recorder.scope[CALLER_KEY]
    assert (caller.name, caller.visitor) == (ME.pw_name, "bob")


@pytest.mark.parametrize(
    "peer",
    [None, "uid:0", {"uid": 0}, PeerCredentials(pid=1, uid=NO_SUCH_UID, gid=0)],
    ids=["absent", "text", "mapping", "no account"],
)
async def test_without_a_known_peer_the_application_never_sees_the_request(peer: Any) -> None:
    recorder = await call(make_scope("http", peer=peer))
    assert recorder.scope is None
    assert [message["type"] for message in recorder.sent] == [
        "http.response.start",
        "http.response.body",
    ]
    assert recorder.sent[0]["status"] == 403


async def test_without_a_known_peer_a_websocket_is_closed_before_it_opens() -> None:
    recorder = await call(make_scope("websocket", peer=None))
    assert recorder.scope is None
    assert [message["type"] for message in recorder.sent] == ["websocket.close"]


async def test_in_header_mode_the_header_is_believed_and_the_proof_says_so() -> None:
    recorder = await call(
        make_scope("http", (b"x-forwarded-user", b"daemon"), peer=None), Proof.HEADER
    )
    assert recorder.scope is not None
    caller: Caller = recorder.scope[CALLER_KEY]
    assert (caller.name, caller.proof) == ("daemon", Proof.HEADER)


async def test_in_header_mode_nobody_is_nobody() -> None:
    recorder = await call(make_scope("http"), Proof.HEADER)
    assert recorder.sent[0]["status"] == 403
    assert (
        recorder.sent[1]["body"]
        == b"Nobody is signed in: open this application through the gateway.\n"
    )


async def test_lifespan_passes_without_a_caller() -> None:
    recorder = await call({"type": "lifespan"})
    assert recorder.scope == {"type": "lifespan"}


async def test_with_peer_adds_the_connections_peer_and_keeps_the_scope() -> None:
    recorder = Recorder()
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        await with_peer(recorder, left)(
            {"type": "http", "path": "/"}, recorder.receive, recorder.send
        )
    assert recorder.scope == {"type": "http", "path": "/", PEER_KEY: MY_PEER}


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("carol", True),
        ("service:culler", True),
        ("service:", False),
        ("user:carol", False),
        ("service:service:x", False),
        ("service:<script>", False),
    ],
)
def test_a_visitor_may_be_a_service_of_the_hub(value: str, taken: bool) -> None:
    headers = [(b"x-forwarded-visitor", value.encode())]
    if taken:
        assert account_name_in(headers, b"x-forwarded-visitor", _VISITOR) == value
    else:
        with pytest.raises(CallerError):
            account_name_in(headers, b"x-forwarded-visitor", _VISITOR)
