"""Signed values for cookies: who can read them does not matter, who can make them does.

Run as the person signed in. The key is derived from the API token of this start of the server:
secret, new with every start, and the same again if the hub ever lets a server of the same start
run again. A cookie of an older start has a bad signature, is ignored like no cookie, and is
replaced under the same name and path at the next sign-in, so nobody is sent in circles.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from functools import lru_cache

MAX_AGE = 30 * 86400.0
MAX_LENGTH = 4096  # what a browser keeps for one cookie
_PURPOSE = b"unixspawner signed cookies 1"


def derive_key(api_token: str) -> bytes:
    """32 bytes; random where there is no token to derive them from (`--dev`)."""
    if not api_token:
        return secrets.token_bytes(32)
    return hmac.digest(api_token.encode(), _PURPOSE, "sha256")


class Signer:
    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        # A browser presents the same cookie with every request, and its age is checked each time.
        self.mac = lru_cache(maxsize=256)(self._mac)

    def sign(self, name: str, value: str) -> str:
        """A cookie value that holds `value` and the time, valid under this cookie name only."""
        body = f"{int(self._clock())}.{_encode(value.encode())}"
        return f"{body}.{self.mac(name, body)}"

    def verify(self, name: str, signed: str, max_age: float = MAX_AGE) -> str | None:
        """The value, or None when it was not made here for this name in the last `max_age` s."""
        if len(signed) > MAX_LENGTH:
            return None
        body, _, mac = signed.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self.mac(name, body).encode()):
            return None
        issued, _, value = body.partition(".")
        if not 0 <= self._clock() - int(issued) <= max_age:
            return None
        return _decode(value).decode()

    def derive(self, purpose: str, text: str) -> str:
        """A secret of 43 characters that only this server can make again from `text`."""
        return self._mac(purpose, text)

    def _mac(self, name: str, body: str) -> str:
        message = f"{len(name)}:{name}:{body}".encode()
        return _encode(hmac.digest(self._key, message, "sha256"))


@lru_cache(maxsize=64)
def fingerprint(token: str) -> str:
    """What stands for a token in tables and comparisons, so that the token itself does not."""
    return hashlib.sha256(token.encode()).hexdigest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
