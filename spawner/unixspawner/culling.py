"""Ends idle servers: jupyterhub-idle-culler, asking the hub over its Unix socket.

A service of the hub, run by the hub as its own account, with a token that may list servers and end
them. It ends with the hub, also with one that is killed: the next hub starts its own.

The hub says when a server was last used, and hears of that a while later. So the culler adds this
while to the time that a server may be idle, and waits as long at its start before it looks at all:
in a night without a hub servers were used all the same.
"""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from tornado.netutil import Resolver

NAME = "idle-culler"
ROLE = {
    "name": NAME,
    "description": "Find idle servers and end them",
    "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    "services": [NAME],
}
RETRY = 15.0  # seconds after which a server tells again what the hub did not hear
LONGEST_PAUSE = 600.0

log = logging.getLogger(NAME)


def lag(asked_every: float, told_every: float) -> float:
    """Seconds until the hub has heard of any use, with a tenth that servers add at random."""
    return 1.1 * max(asked_every, told_every) + 2 * RETRY


def service(idle: float, lag: float) -> dict[str, Any]:
    """The service as JupyterHub wants it described."""
    options = [f"--idle={idle:.0f}", f"--lag={lag:.0f}"]
    return {
        "name": NAME,
        "command": [sys.executable, "-I", "-m", "unixspawner.culling", *options],
        "display": False,
    }


class HubResolver(Resolver):
    """Every name is the hub's socket: this program speaks to nobody else."""

    path = ""

    async def resolve(self, host: str, port: int, family: Any = None) -> list[tuple[int, str]]:
        return [(socket.AF_UNIX, self.path)]


async def keep_culling(url: str, token: str, idle: float, lag: float) -> None:
    """Look now and then, for as long as the hub runs."""
    from jupyterhub_idle_culler import cull_idle

    pause = min(LONGEST_PAUSE, max(1.0, idle / 10))
    await asyncio.sleep(lag)
    while True:
        try:
            await cull_idle(url, token, idle + lag, log)
        except Exception as error:  # the hub is busy or ends; the text may hold a URL, no token
            log.warning("The hub could not be asked for idle servers: %s", error)
        await asyncio.sleep(pause)


async def until_the_hub_ends(hub: int) -> None:
    """Or says so. `hub` is its process; one that has ended already is somebody else's number."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    handle = os.pidfd_open(hub)
    if os.getppid() == hub:
        loop.add_reader(handle, ended.set)
        await ended.wait()


async def run(environment: Mapping[str, str], idle: float, lag: float) -> None:
    address = urlsplit(environment["JUPYTERHUB_API_URL"])
    HubResolver.path = unquote(address.netloc)
    Resolver.configure(HubResolver)
    url, token = f"http://hub{address.path}", environment["JUPYTERHUB_API_TOKEN"]
    culling = asyncio.create_task(keep_culling(url, token, idle, lag))
    await until_the_hub_ends(os.getppid())
    culling.cancel()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="unixspawner.culling", description=__doc__)
    parser.add_argument("--idle", type=float, required=True, help="seconds without any use")
    parser.add_argument("--lag", type=float, required=True, help="seconds until the hub knows")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        format="[%(levelname).1s %(asctime)s %(name)s] %(message)s", level=logging.INFO
    )
    asyncio.run(run(os.environ, options.idle, options.lag))


if __name__ == "__main__":
    main()
