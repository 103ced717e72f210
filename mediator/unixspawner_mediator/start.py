"""`mediator start`: run by sudo as the person; checks everything again, then becomes the server."""

import math
import os
import stat
import syslog
from typing import NoReturn

from . import config as configuration
from . import home, policy, system
from .config import Config, ConfigError
from .errors import Refusal, broken_request
from .policy import Account
from .protocol import Starting, StartRequest, decode_request, encode


class StartChannel:
    """Where the outcome goes: the status pipe as soon as we have it, standard input before."""

    def __init__(self) -> None:
        self.descriptor = 0

    def send(self, message: bytes) -> None:
        system.reply(self.descriptor, message)


def answer_start(channel: StartChannel) -> NoReturn:
    """Read, decode, authorise, prepare, report, exec."""
    data, descriptors = system.receive_request()
    listener, status = _take_descriptors(descriptors)
    channel.descriptor = status
    request = decode_request(data, StartRequest)
    config = configuration.read()
    account = system.own_account()
    _authorise(config, account, request)
    _become_server(config, account, request, listener, channel)


def _take_descriptors(descriptors: list[int]) -> tuple[int, int]:
    if len(descriptors) != 2:
        raise broken_request(f"{len(descriptors)} descriptors instead of 2")
    listener, status = descriptors
    if not system.is_status_pipe(status):
        raise broken_request("the second descriptor is not the write end of a pipe")
    if not system.is_listening_unix_socket(listener):
        raise broken_request("the first descriptor is not a listening Unix socket")
    return listener, status


def _authorise(config: Config, account: Account, request: StartRequest) -> None:
    policy.require_caller(config, system.caller_name())
    policy.require_same_account(account, request.user)
    policy.require_may_use(config, account, system.valid_shells())
    _require_root_owned_program(config.command[0])


def _require_root_owned_program(path: str) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise _program_missing(path, error) from None
    if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refusal(
            "program-not-roots",
            "The server's program is not protected as it must be: ask your administrator "
            "to run `unixspawner doctor`.",
            f"{path} is not root's or others may write it",
        )


def _program_missing(path: str, error: OSError) -> Refusal:
    return Refusal(
        "program-missing",
        "The server's program could not be started: ask your administrator "
        "to run `unixspawner doctor`.",
        f"{path}: {error.strerror}",
    )


def _become_server(
    config: Config, account: Account, request: StartRequest, listener: int, channel: StartChannel
) -> NoReturn:
    granted, ignored = policy.choose_environment(config, request.environment)
    session = system.session_bus() | os.environ
    environment = policy.server_environment(config, account, session, request.server_id) | granted
    if config.umask:
        os.umask(int(config.umask, 8))
    log, code, message = home.prepare(account, request.server_name)
    if code:
        environment["UNIXSPAWNER_TROUBLE"] = message
    _limit_tasks(account)
    system.become_session_leader()
    line = f"start user={account.name} server={request.server_name!r} accepted {code}"
    system.log(syslog.LOG_NOTICE, line.rstrip())
    channel.send(encode(Starting(system.own_identity(), ignored, code, message)))
    try:
        system.become_program(config.command, environment, listener, log)
    except OSError as error:
        raise _program_missing(config.command[0], error) from None


def _limit_tasks(account: Account) -> None:
    """Of limits.toml, where the person's slice does not: the one limit that an account can keep.

    A file that cannot be used keeps nobody out, as in `session-limits`.
    """
    if configuration.is_empty(configuration.LIMITS) or system.own_slice_counts_tasks():
        return
    from . import limits  # not needed on most machines

    try:
        tasks = limits.limits_for(limits.read(), account.name, account.groups).tasks
    except ConfigError as error:
        system.log(syslog.LOG_ERR, f"start user={account.name} limits are not set: {error}")
        return
    if tasks is not None and tasks < math.inf:
        system.limit_own_tasks(int(tasks))
