"""Where everything is on the machine. Constants, used by every command that root types."""

from pathlib import Path

OPT = Path("/opt/unixspawner")
RELEASES = OPT / "releases"
CURRENT = OPT / "current"
MANIFEST = OPT / "manifest.json"

LIBEXEC = Path("/usr/local/libexec/unixspawner")
COMMAND = Path("/usr/local/bin/unixspawner")

SHARE = Path("/usr/local/share")
MAN_PAGE = SHARE / "man/man8/unixspawner.8"
COMPLETIONS = {
    "unixspawner.bash": SHARE / "bash-completion/completions/unixspawner",
    "_unixspawner": SHARE / "zsh/site-functions/_unixspawner",
    "unixspawner.fish": SHARE / "fish/vendor_completions.d/unixspawner.fish",
}

ETC = Path("/etc/unixspawner")
OPTIONS = ETC / "install.toml"
LIMITS = ETC / "limits.toml"
HUB_CONFIG = ETC / "jupyterhub_config.py"
ADDITIONS = ETC / "jupyterhub_config.d"
TEMPLATES = ETC / "templates"
APPLICATIONS = ETC / "apps.d"
METRICS_TOKEN = ETC / "metrics-token"
SESSION_LIMITS = LIBEXEC / "session-limits"
DROP_INS = Path("/run/systemd/system.control")  # of session-limits, among others
SUDOERS = Path("/etc/sudoers.d/unixspawner")
PAM = Path("/etc/pam.d")

STATE = Path("/var/lib/unixspawner")
DATABASE = STATE / "jupyterhub.sqlite"
COOKIE_SECRET = STATE / "jupyterhub_cookie_secret"
ADMIN_TOKEN = STATE / "admin-token"
DRAINING = STATE / "draining"
LOGS = Path("/var/log/unixspawner")
HUB_LOG = LOGS / "hub.log"
DEMO_LOG = LOGS / "demo.log"

RUN = Path("/run/unixspawner")
HUB_SOCKET = RUN / "hub.sock"
PROXY_SOCKET = RUN / "proxy-api.sock"
SOCKETS = RUN / "servers"
RUN_TLS = Path("/run/unixspawner-tls")
RUN_DEMO = Path("/run/unixspawner-demo")
DEMO_SOCKET = RUN_DEMO / "demo.sock"

PYTHON = "/usr/bin/python3"
SUDO = "/usr/bin/sudo"
