"""Drives a real Chromium through Debian's chromedriver: the W3C WebDriver protocol, over HTTP.

Run by pytest as root. Only what these tests need of https://www.w3.org/TR/webdriver2/, so that no
package has to be pinned, and no browser downloaded, for it.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.system.host import DEADLINE, patient, wait_for

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the constant by which the protocol tells one
# No sandbox, because Chromium has none as root; no traffic but to the service under test.
CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--ignore-certificate-errors",
)


class Browser:
    """One browser session; elements are named by CSS selectors."""

    def __init__(self, driver: httpx.Client, session: str, pictures: Path) -> None:
        self._driver = driver
        self._session = session
        self._pictures = pictures

    def _ask(self, method: str, what: str, **body: Any) -> Any:
        payload = body if method == "POST" else None
        answer = self._driver.request(method, f"/session/{self._session}/{what}", json=payload)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    @property
    def url(self) -> str:
        return str(self._ask("GET", "url"))

    @property
    def title(self) -> str:
        return str(self._ask("GET", "title"))

    def go(self, url: str) -> None:
        """Open an address and wait until it has loaded."""
        self._ask("POST", "url", url=url)

    def run(self, script: str, *arguments: object) -> Any:
        """Run JavaScript in the page: the body of a function."""
        return self._ask("POST", "execute/sync", script=script, args=list(arguments))

    def text(self, selector: str = "body") -> str:
        """What a person reads there; empty where there is no such element."""
        script = "const e = document.querySelector(arguments[0]); return e ? e.innerText : ''"
        return str(self.run(script, selector))

    def is_visible(self, selector: str) -> bool:
        script = (
            "const e = document.querySelector(arguments[0]);"
            "return e !== null && e.checkVisibility({visibilityProperty: true})"
        )
        return self.run(script, selector) is True

    def wait_until_visible(self, selector: str) -> None:
        wait_for(f"{selector} at {self.url}", lambda: self._sees(selector))

    def wait_for_text(self, text: str, selector: str = "body") -> None:
        wait_for(f"{text!r} in the page", lambda: text in self._reads(selector))

    def click(self, selector: str) -> None:
        self._ask("POST", f"element/{self._find(selector)}/click")

    def type_into(self, selector: str, text: str) -> None:
        self._ask("POST", f"element/{self._find(selector)}/value", text=text)

    def press(self, key: str) -> None:
        """Strike a key, by its code point: https://www.w3.org/TR/webdriver2/#keyboard-actions"""
        strokes = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._ask("POST", "actions", actions=[{"type": "key", "id": "keys", "actions": strokes}])

    def chord(self, *keys: str) -> None:
        """Press keys one after the other, and let go of all of them."""
        strokes = [{"type": "keyDown", "value": key} for key in keys]
        strokes += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self._ask("POST", "actions", actions=[{"type": "key", "id": "keys", "actions": strokes}])

    def write(self, text: str) -> None:
        """Type a text to wherever the keyboard leads at the moment."""
        for key in text:
            self.chord(key)

    def resize(self, width: int, height: int) -> None:
        """Emulate a screen: a window has a minimal width that a phone has not."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
        )

    def prefer(self, scheme: str) -> None:
        """Ask for light or dark pages, and for ones that hold still to be looked at."""
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self._devtools("Emulation.setEmulatedMedia", {"features": features})

    def picture(self, name: str) -> None:
        """Keep a screenshot as artefacts/NAME.png."""
        self._pictures.mkdir(exist_ok=True)
        data = base64.b64decode(self._ask("GET", "screenshot"))
        (self._pictures / f"{name}.png").write_bytes(data)

    def complaints(self) -> list[str]:
        """What the browser's console says about errors since the last look."""
        entries = self._ask("POST", "se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def windows(self) -> list[str]:
        return list(self._ask("GET", "window/handles"))

    def switch_to(self, window: str) -> None:
        self._ask("POST", "window", handle=window)

    def asked_for(self) -> list[str]:
        """Every address on the network that pages have asked for since the last look."""
        messages = (
            json.loads(entry["message"])["message"]
            for entry in self._ask("POST", "se/log", type="performance")
        )
        urls = (
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        )
        return [url for url in urls if url.startswith(("http:", "https:"))]

    def _sees(self, selector: str) -> bool:
        try:
            return self.is_visible(selector)
        except AssertionError:  # the page was leaving while it was asked
            return False

    def _reads(self, selector: str) -> str:
        try:
            return self.text(selector)
        except AssertionError:
            return ""

    def _find(self, selector: str) -> str:
        found = self._ask("POST", "element", using="css selector", value=selector)
        return str(found[_ELEMENT])

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._ask("POST", "goog/cdp/execute", cmd=command, params=parameters)


@contextmanager
def chromedriver() -> Iterator[httpx.Client]:
    """Debian's chromedriver on a port that it chooses itself."""
    command = ["chromedriver", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            port = next(
                m[1]
                for m in (re.search(r"successfully on port (\d+)", each) for each in lines)
                if m
            )
            url = f"http://127.0.0.1:{port}"
            with httpx.Client(
                base_url=url, timeout=patient(2 * DEADLINE), trust_env=False
            ) as driver:
                yield driver
        finally:
            process.terminate()


@contextmanager
def open_browser(
    driver: httpx.Client, pictures: Path, *, waits_for_pages: bool = True
) -> Iterator[Browser]:
    """A fresh profile; the browser and the profile are gone afterwards.

    Without `waits_for_pages` one can look at a page that is still coming.
    """
    with tempfile.TemporaryDirectory(
        prefix="unixspawner-browser.",
        ignore_cleanup_errors=True,  # Chromium may still write as it goes
    ) as profile:
        options = {"args": [*CHROMIUM_ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        wanted["goog:loggingPrefs"] = {"browser": "SEVERE", "performance": "ALL"}
        wanted["pageLoadStrategy"] = "normal" if waits_for_pages else "none"
        body = {"capabilities": {"alwaysMatch": wanted}}
        answer = driver.post("/session", json=body).json()["value"]
        assert "sessionId" in answer, answer
        try:
            yield Browser(driver, answer["sessionId"], pictures)
        finally:
            driver.delete(f"/session/{answer['sessionId']}")
