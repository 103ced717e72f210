"""Tells the hub when this server was last used, so that an idle one can be culled.

Run as the person signed in. Health checks are not use. Requests of people who are signed in are,
and so is whatever moves afterwards: each piece of a body in either direction, each message on a
WebSocket. A download of hours, or a stream of events, is in use as long as something comes.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import random
import time

from .errors import HubUnavailableError
from .hub import Hub

log = logging.getLogger(__name__)

RETRY = 15.0


class Activity:
    """The time of the last use, and of the last use that the hub knows of."""

    def __init__(self) -> None:
        # To have been started is the first sign of life.
        self._last = time.time()
        self._reported = 0.0
        self._failing = False

    def note(self) -> None:
        """Once for every piece of every body, so it does no more than this."""
        self._last = time.time()

    async def report(self, hub: Hub) -> bool:
        """True when the hub knows all there is to know."""
        last = self._last
        if last <= self._reported:
            return True
        try:
            await hub.post_activity(iso_timestamp(last))
        except HubUnavailableError as error:
            # Once is enough: a hub may be away for hours.
            if not self._failing:
                log.warning("The hub was not told of activity, and will be: %s.", error)
            self._failing = True
            return False
        self._reported, self._failing = last, False
        return True


async def keep_reporting(activity: Activity, hub: Hub, interval: float) -> None:
    """Every interval, give or take a tenth so that many servers do not all speak at once."""
    if interval <= 0:
        log.info("Activity is not reported: the interval is 0.")
        return
    while True:
        told = await activity.report(hub)
        # A tenth either way; nothing here is a secret.
        pause = interval * random.uniform(0.9, 1.1)  # noqa: S311
        await asyncio.sleep(pause if told else min(RETRY, pause))


def iso_timestamp(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat()
