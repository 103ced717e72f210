"""Everything the server is told from outside, read once from the environment that the hub sets.

Run as the person signed in. Nothing else in this package reads `os.environ`.
Names: https://jupyterhub.readthedocs.io/en/stable/reference/services.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from .errors import ConfigurationError

DEFAULT_ACTIVITY_INTERVAL = 300.0
MARKER = "UNIXSPAWNER_SERVER_ID"
"""Whatever carries this variable with the same value belongs to one server."""
# Of all that the hub says, what an application may know as well.
_FOR_APPLICATIONS = frozenset(
    {
        "JUPYTERHUB_BASE_URL",
        "JUPYTERHUB_HOST",
        "JUPYTERHUB_PUBLIC_URL",
        "JUPYTERHUB_SERVER_NAME",
        "JUPYTERHUB_SERVICE_PREFIX",
        "JUPYTERHUB_USER",
        MARKER,  # by which a stop finds everything
    }
)
_OF_THE_HUB = ("JUPYTERHUB_", "JPY_", "CONFIGPROXY_", "UNIXSPAWNER_")


@dataclass(frozen=True, slots=True)
class CookieOptions:
    """The parts of JUPYTERHUB_COOKIE_OPTIONS that make sense for a cookie of ours."""

    domain: str | None = None
    max_age: int | None = None
    secure: bool = False
    same_site: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """One server's place in the world. Paths are kept both decoded (to match) and escaped."""

    segments: tuple[str, ...]  # the prefix, decoded, one entry per path segment
    prefix: str  # the prefix as it stands in a URL, with a slash at both ends
    hub_prefix: str = "/hub/"
    hub_host: str = ""  # only set when JupyterHub gives each person a subdomain
    api_url: str = ""
    hub_uid: int | None = None  # who must listen there; not from the environment
    api_token: str = field(default="", repr=False)
    client_id: str = ""
    callback_url: str = ""
    access_scopes: frozenset[str] = frozenset()
    user: str = ""
    server_name: str = ""
    server_id: str = ""  # the mark of everything that this server starts
    default_url: str = ""
    service_url: str = ""
    public_url: str = ""
    memory_limit: str = ""  # as the hub announces them; nobody need hold to them
    cpu_limit: str = ""
    activity_url: str = ""
    activity_interval: float = DEFAULT_ACTIVITY_INTERVAL
    allow_token_in_url: bool = False
    allow_websocket_cookie: bool = True
    host_prefix_cookies: bool = False
    cookie_options: CookieOptions = CookieOptions()
    debug: bool = False
    dev: bool = False
    # What applications inherit: nothing in it is secret.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    trouble: str = ""  # what was wrong with the account when this server was started, a sentence

    @property
    def session_cookie(self) -> str:
        return f"__Host-{self.client_id}" if self.host_prefix_cookies else self.client_id

    @property
    def cookie_path(self) -> str:
        return "/" if self.host_prefix_cookies else self.prefix

    @property
    def authorize_url(self) -> str:
        return f"{self.hub_host}{self.hub_prefix}api/oauth2/authorize"

    @property
    def logout_url(self) -> str:
        return f"{self.hub_host}{self.hub_prefix}logout"

    @property
    def hub_home_url(self) -> str:
        return f"{self.hub_host}{self.hub_prefix}home"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Settings for a server started by the hub. Raises ConfigurationError, naming the variable."""
    prefix = _with_slashes(environ.get("JUPYTERHUB_SERVICE_PREFIX") or "/")
    return Settings(
        prefix=prefix,
        segments=decoded_segments(prefix),
        hub_prefix=_with_slashes(environ.get("JUPYTERHUB_BASE_URL") or "/") + "hub/",
        hub_host=environ.get("JUPYTERHUB_HOST", ""),
        api_url=_required(environ, "JUPYTERHUB_API_URL").rstrip("/"),
        api_token=_required(environ, "JUPYTERHUB_API_TOKEN"),
        client_id=_required(environ, "JUPYTERHUB_CLIENT_ID"),
        callback_url=environ.get("JUPYTERHUB_OAUTH_CALLBACK_URL") or f"{prefix}oauth_callback",
        access_scopes=_scopes(_required(environ, "JUPYTERHUB_OAUTH_ACCESS_SCOPES")),
        user=_required(environ, "JUPYTERHUB_USER"),
        server_name=environ.get("JUPYTERHUB_SERVER_NAME", ""),
        server_id=environ.get(MARKER, ""),
        default_url=environ.get("JUPYTERHUB_DEFAULT_URL", ""),
        service_url=environ.get("JUPYTERHUB_SERVICE_URL", ""),
        public_url=environ.get("JUPYTERHUB_PUBLIC_URL", ""),
        memory_limit=environ.get("MEM_LIMIT", ""),
        cpu_limit=environ.get("CPU_LIMIT", ""),
        activity_url=environ.get("JUPYTERHUB_ACTIVITY_URL", ""),
        activity_interval=_seconds(environ, "JUPYTERHUB_ACTIVITY_INTERVAL"),
        allow_token_in_url=_flag(environ, "JUPYTERHUB_ALLOW_TOKEN_IN_URL", default=False),
        allow_websocket_cookie=_flag(
            environ, "JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH", default=True
        ),
        host_prefix_cookies=_flag(environ, "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED", default=False),
        cookie_options=_cookie_options(environ.get("JUPYTERHUB_COOKIE_OPTIONS", "")),
        debug=_flag(environ, "JUPYTERHUB_DEBUG", default=False),
        environment=for_applications(environ),
        trouble=environ.get("UNIXSPAWNER_TROUBLE", ""),
    )


def for_applications(environ: Mapping[str, str]) -> dict[str, str]:
    """The session's variables, and of the hub's only those that are no secret."""
    return {
        name: value
        for name, value in environ.items()
        if name in _FOR_APPLICATIONS or not name.startswith(_OF_THE_HUB)
    }


def for_development(user: str, environ: Mapping[str, str]) -> Settings:
    """Settings for `--dev`: no hub, no prefix, no sign-in."""
    return Settings(
        segments=(),
        prefix="/",
        api_url="http://hub.invalid/hub/api",  # never asked: nobody has to sign in
        user=user,
        client_id="unixspawner-dev",
        dev=True,
        environment=for_applications(environ),
    )


def decoded_segments(prefix: str) -> tuple[str, ...]:
    return tuple(unquote(part) for part in prefix.strip("/").split("/") if part)


def _with_slashes(path: str) -> str:
    trimmed = path.strip("/")
    return f"/{trimmed}/" if trimmed else "/"


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise ConfigurationError(
            f"{name} is not set. This program is started by JupyterHub; use --dev to try it alone."
        )
    return value


def _flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = environ.get(name, "").strip().lower()
    if not value:
        return default
    return value not in {"0", "false", "no", "off"}


def _seconds(environ: Mapping[str, str], name: str) -> float:
    value = environ.get(name, "")
    if not value:
        return DEFAULT_ACTIVITY_INTERVAL
    try:
        seconds = float(value)
    except ValueError:
        raise ConfigurationError(f"{name} must be a number of seconds.") from None
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"{name} must not be negative or infinite.")
    return seconds


def _scopes(text: str) -> frozenset[str]:
    value = _json(text, "JUPYTERHUB_OAUTH_ACCESS_SCOPES")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError("JUPYTERHUB_OAUTH_ACCESS_SCOPES must be a JSON list of strings.")
    return frozenset(value)


def _cookie_options(text: str) -> CookieOptions:
    if not text:
        return CookieOptions()
    value = _json(text, "JUPYTERHUB_COOKIE_OPTIONS")
    if not isinstance(value, dict):
        raise ConfigurationError("JUPYTERHUB_COOKIE_OPTIONS must be a JSON object.")
    options = {str(key).lower().replace("-", "_"): item for key, item in value.items()}
    return CookieOptions(
        domain=_attribute(options.get("domain"), "domain"),
        max_age=_max_age(options),
        secure=options.get("secure") is True,
        same_site=_attribute(options.get("samesite"), "samesite"),
    )


def _max_age(options: Mapping[str, object]) -> int | None:
    for key, factor in (("max_age", 1), ("expires_days", 86400)):
        value = options.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(value * factor)
    return None


def _attribute(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.replace(".", "").replace("-", "").isalnum():
        raise ConfigurationError(f"JUPYTERHUB_COOKIE_OPTIONS: {name} is not a plain word.")
    return value


def _json(text: str, name: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{name} is not valid JSON.") from None
    return value


def bind_address(service_url: str) -> tuple[str, int]:
    """Host and port to listen on. Raises ConfigurationError."""
    try:
        parts = urlsplit(service_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError("JUPYTERHUB_SERVICE_URL is not a valid URL.") from None
    if parts.scheme != "http":
        raise ConfigurationError(
            "JUPYTERHUB_SERVICE_URL must start with http:// (internal_ssl is not supported:"
            " let the spawner use Unix sockets instead)."
        )
    return host or "", 80 if port is None else port
