"""A person at a browser, without the browser: cookies, XSRF tokens and redirects over HTTP.

Run by pytest. It sends what a browser sends (Sec-Fetch-*, Referer, the form's hidden field) and
nothing that a page would not have told it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from tests.system.accounts import Account
from tests.system.host import DEADLINE, patient

_NAVIGATION = {
    "Accept": "text/html",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
}
_FETCH = {
    "Accept": "application/json",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}
_FORM_XSRF = re.compile(r'name="_xsrf" value="([^"]+)"')
_PAGE_XSRF = re.compile(r'xsrf_token: "([^"]+)"')
_SCOPES = re.compile(r'name="scopes"[^>]*value="([^"]+)"', re.DOTALL)
_LOGIN_ERROR = re.compile(r'<p id="login-error"[^>]*>(.*?)</p>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Progress:
    """One event of a start, as the progress page gets it."""

    message: str
    percent: int | None
    ready: bool
    failed: bool


def text_of(page: str) -> str:
    """What a person reads: no tags, no scripts, entities decoded, white space collapsed."""
    body = re.sub(r"(?s)<(script|style|head)\b.*?</\1>", " ", page)
    return " ".join(html.unescape(_TAG.sub(" ", body)).split())


class Browserless:
    """One browser profile at one service."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.base = urlsplit(url).path
        self._client = httpx.Client(follow_redirects=True, timeout=patient(DEADLINE))
        self._xsrf = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._client.close()

    @property
    def cookies(self) -> dict[str, str]:
        """Name (and path) to value of every cookie held now."""
        return {f"{c.name} {c.path}": str(c.value) for c in self._client.cookies.jar}

    def credentials(self, path: str) -> tuple[str, str]:
        """The Cookie header for a path of this site, and the token of the server there."""
        jar = [c for c in self._client.cookies.jar if path.startswith(c.path)]
        jar.sort(key=lambda cookie: len(cookie.path), reverse=True)
        header = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
        return header, next((str(c.value) for c in jar if c.name == "_xsrf"), "")

    def go(self, path: str) -> httpx.Response:
        """Follow a link: GET, redirects included. `path` is relative to the service's base URL."""
        return self._seen(self._client.get(self.url + path, headers=_NAVIGATION))

    def submit(self, path: str, form: Mapping[str, str | list[str]]) -> httpx.Response:
        """Send a form of the page last seen."""
        fields = {"_xsrf": self._xsrf, **form}
        headers = {**_NAVIGATION, "Referer": self.url + path}
        return self._seen(self._client.post(self.url + path, data=fields, headers=headers))

    def fetch(
        self,
        method: str,
        path: str,
        extra_headers: dict[str, str] | None = None,
        body: object = None,
    ) -> httpx.Response:
        """What a page's script does: fetch() with the page's XSRF token."""
        token = self._server_xsrf(path) if path.startswith("user/") else self._xsrf
        headers = {**_FETCH, "X-XSRFToken": token, "Referer": self.url + "hub/home"}
        headers |= extra_headers or {}
        return self._client.request(method, self.url + path, headers=headers, json=body)

    def cookie_header(self, path: str) -> str:
        """The cookies that go with a request for the path, for clients other than this one."""
        request = self._client.build_request("GET", self.url + path)
        return str(request.headers.get("cookie", ""))

    def _server_xsrf(self, path: str) -> str:
        """The token that a server's pages read from their cookie, the hub's having another path."""
        cookies = [c for c in self._client.cookies.jar if c.name == "_xsrf"]
        fitting = [
            c for c in cookies if (self.base + path).startswith(c.path) and "/user/" in c.path
        ]
        return str(max(fitting, key=lambda cookie: len(cookie.path)).value) if fitting else ""

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        token = _FORM_XSRF.search(answer.text) or _PAGE_XSRF.search(answer.text)
        if token is not None and "/hub/" in answer.url.path:
            self._xsrf = html.unescape(token.group(1))
        return answer

    # Signing in and out

    def submit_sign_in(self, name: str, password: str) -> httpx.Response:
        """Open the sign-in page, fill it in, follow where it leads (without waiting there)."""
        page = self.go("hub/login")
        assert page.status_code == 200, page.text
        return self.submit("hub/login", {"username": name, "password": password})

    def sign_in(self, account: Account) -> httpx.Response:
        """Sign in and be served: the answer is the page below /user/NAME/."""
        return self.until_served(
            account.name, "", self.submit_sign_in(account.name, account.password)
        )

    def sign_in_only(self, account: Account) -> None:
        """Sign in and go to the home page of the hub; no server is started."""
        self.go("hub/login?next=" + self.base + "hub/home")
        form = {"username": account.name, "password": account.password}
        answer = self.submit("hub/login?next=" + self.base + "hub/home", form)
        assert answer.url.path == self.base + "hub/home", answer.text

    def start(self, name: str, server: str = "") -> httpx.Response:
        """Ask the hub for a server, as the button on its home page does."""
        path = f"hub/spawn/{name}/{server}" if server else f"hub/spawn/{name}"
        return self.until_served(name, server, self.go(path))

    def start_in_vain(self, name: str) -> httpx.Response:
        """Ask for a server that will not start: the page that says why, at once or after a wait."""
        answer = self.go(f"hub/spawn/{name}")
        if answer.url.path.startswith(self.base + "hub/spawn-pending/"):
            events = list(self.progress(name))
            assert not events or events[-1].failed, events
            answer = self.go(f"hub/spawn-pending/{name}")
        return answer

    def sign_out(self) -> httpx.Response:
        return self.go("hub/logout")

    def visit(self, path: str) -> httpx.Response:
        """Open somebody else's server: the hub asks first whether that is meant."""
        page = self.go(path)
        if "/oauth2/authorize" not in page.url.path:
            return page
        asked = f"{page.url.raw_path.decode()}".removeprefix(self.base)
        return self.submit(asked, {"scopes": _SCOPES.findall(page.text)})

    def until_served(self, name: str, server: str, answer: httpx.Response) -> httpx.Response:
        """The page of the server whose start this answer began, or the answer itself."""
        if answer.url.path.startswith(self.base + "hub/spawn-pending/"):
            events = list(self.progress(name, server))
            ready = bool(events) and events[-1].ready
            assert ready, f"the server did not start: {events} {text_of(answer.text)}"
            answer = self.go(f"user/{name}/{server + '/' if server else ''}")
        return answer

    # The hub's API, as its pages use it

    def progress(self, name: str, server: str = "") -> Iterator[Progress]:
        """The events of a start, until it is ready or has failed."""
        which = f"servers/{server}" if server else "server"
        url = f"{self.url}hub/api/users/{name}/{which}/progress"
        headers = {**_FETCH, "Accept": "text/event-stream", "X-XSRFToken": self._xsrf}
        with self._client.stream("GET", url, headers=headers) as answer:
            if answer.status_code != 200:
                return
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    event = _parse_progress(line.removeprefix("data:"))
                    yield event
                    if event.ready or event.failed:
                        return

    def stop(self, name: str, server: str = "") -> None:
        """Press the stop button on the hub's home page."""
        self.go("hub/home")
        which = f"servers/{server}" if server else "server"
        answer = self.fetch("DELETE", f"hub/api/users/{name}/{which}")
        assert answer.status_code in (202, 204), answer.text

    def servers(self, name: str) -> dict[str, dict[str, Any]]:
        """The servers that the hub knows of, by name."""
        servers: dict[str, dict[str, Any]] = self._ask_hub(f"users/{name}").get("servers", {})
        return servers

    def everybodys_servers(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What an administrator is told, by person and name."""
        people = self._ask_hub("users?limit=200")
        return {person["name"]: person.get("servers", {}) for person in people}

    def _ask_hub(self, what: str) -> Any:
        answer = self.fetch("GET", f"hub/api/{what}")
        if answer.status_code == 403:  # the page last seen was another session's
            self.go("hub/home")
            answer = self.fetch("GET", f"hub/api/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json()


def _parse_progress(data: str) -> Progress:
    event = json.loads(data)
    return Progress(
        message=text_of(event.get("html_message") or event.get("message", "")),
        percent=event.get("progress"),
        ready=event.get("ready") is True,
        failed=event.get("failed") is True,
    )


def login_error(answer: httpx.Response) -> str:
    """The sentence on the sign-in page that says why not; empty without one."""
    found = _LOGIN_ERROR.search(answer.text)
    return text_of(found.group(1)) if found else ""
