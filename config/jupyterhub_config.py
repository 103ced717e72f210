"""The hub's configuration, read by JupyterHub as the hub's account.

Your own settings belong in files of their own, /etc/unixspawner/jupyterhub_config.d/*.py, which are
read after this one in the order of their names. Addresses, groups and certificates are options of
the installer: run `./install --port 8080` and the like, and this file finds them in install.toml.
"""

import grp
import os
import socket
import stat
import sys
import tomllib
from pathlib import Path

from aiohttp import ClientTimeout

from unixspawner import access, draining
from unixspawner.bounds import bound_http_server

c = get_config()  # noqa: F821  given by JupyterHub

ETC = Path("/etc/unixspawner")
STATE = Path("/var/lib/unixspawner")
RUN = Path("/run/unixspawner")
RELEASE = Path(sys.prefix)  # the release that this hub runs from, its proxy included

with (ETC / "install.toml").open("rb") as file:
    options = tomllib.load(file)


def checking_account() -> str:
    """Who checks passwords, as in the sudo rule: root where no group may read the hashes."""
    try:
        grp.getgrnam("shadow")
    except KeyError:
        return "root"
    return str(options["pam_account"])


def unix_url(path: Path) -> str:
    return "http+unix://" + str(path).replace("/", "%2F")


# The public address: the only one on the network. Everything else listens on Unix sockets.
scheme = "https" if options["tls_cert"] else "http"
address = f"[{options['bind']}]" if ":" in options["bind"] else options["bind"]
c.JupyterHub.bind_url = f"{scheme}://{address}:{options['port']}{options['base_url']}"
if options["tls_cert"]:
    # copies that the hub's account may read; the service makes them at each start
    c.JupyterHub.ssl_cert = "/run/unixspawner-tls/cert.pem"
    c.JupyterHub.ssl_key = "/run/unixspawner-tls/key.pem"

# The hub's API, for the servers. /run/unixspawner lets only members of the users' group pass.
c.JupyterHub.hub_bind_url = unix_url(RUN / "hub.sock")
c.JupyterHub.hub_connect_url = unix_url(RUN / "hub.sock")
c.JupyterHub.hub_socket_mode = 0o666
bound_http_server()

# The proxy, from the same release. It goes on when the hub ends, so that no connection breaks, and
# the next hub takes it over. The service's script ends it, by the pid in this file.
c.JupyterHub.proxy_class = "unixspawner"
c.JupyterHub.cleanup_proxy = False
c.UnixProxy.token_file = str(STATE / "proxy-token")
c.ConfigurableHTTPProxy.command = [
    str(RELEASE / "bin/node"),
    "--import",
    str(RELEASE / "preload.mjs"),
    str(RELEASE / "node_modules/.bin/configurable-http-proxy"),
]
c.ConfigurableHTTPProxy.api_url = unix_url(RUN / "proxy-api.sock")
c.ConfigurableHTTPProxy.command_umask = 0o077
c.ConfigurableHTTPProxy.pid_file = str(RUN / "proxy.pid")
# JupyterHub waits five minutes for a proxy that stands still; here it gives up and asks again: by
# then there may be another proxy. The same holds when it asks whether a server answers.
c.JupyterHubHTTPClient.session_options = {
    "timeout": ClientTimeout(total=60, sock_connect=10, sock_read=20)
}

# State. An older database is upgraded at start, after a copy has been made of it.
c.JupyterHub.db_url = f"sqlite:///{STATE / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(STATE / "jupyterhub_cookie_secret")
c.JupyterHub.upgrade_db = True

# People: who signs in, and what runs for them.
c.JupyterHub.authenticator_class = "unixspawner"
c.UnixAuthenticator.users_group = options["users_group"]
c.UnixAuthenticator.admins_group = options["admins_group"]
c.UnixAuthenticator.authenticate_account = checking_account()
c.JupyterHub.spawner_class = "unixspawner"
c.UnixSpawner.users_group = options["users_group"]
c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 10
# Servers that nobody uses end by themselves.
c.UnixHub.idle_timeout = 3600 * options["idle_hours"]
# A restart of this service leaves everybody's servers alone.
c.JupyterHub.cleanup_servers = False

# Pages: ours first, JupyterHub's own below them. An addition may set `site`, the name at the top.
machine = socket.gethostname()
c.JupyterHub.template_paths = [str(ETC / "templates")]
c.JupyterHub.template_vars = {"machine": machine}
c.JupyterHub.tornado_settings = {}
c.JupyterHub.logo_file = str(RELEASE / "share/jupyterhub/static/unixspawner/icon.svg")


def read_addition(path: Path) -> None:
    """Read one file of jupyterhub_config.d, if nobody but root can have written it."""
    status = path.stat()
    if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        sys.exit(
            f"{path} must belong to root and be writable by root alone; the hub does not start."
        )
    load_subconfig(str(path))  # noqa: F821  given by JupyterHub


for addition in sorted((ETC / "jupyterhub_config.d").glob("*.py")):
    if os.path.basename(addition).startswith("."):
        continue
    read_addition(addition)
# The sign-in page needs it, also where an addition has set template_vars anew.
c.JupyterHub.template_vars.setdefault("machine", machine)
if options["tls_cert"]:
    # Every cookie, also the one that guards forms; and also where an addition has settings.
    c.JupyterHub.tornado_settings.setdefault("cookie_options", {}).setdefault("secure", True)

# After your own settings, which may set these as well.
# While an administrator drains the machine (`unixspawner drain`), all pages say so.
own_announcement = c.JupyterHub.template_vars.get("announcement", "")
c.JupyterHub.template_vars["announcement"] = draining.announcement(own_announcement)
# The programs that may ask this hub: the command `unixspawner`, and Prometheus when it has a token.
for service, role in access.services(STATE, ETC):
    c.JupyterHub.services.append(service)
    c.JupyterHub.load_roles.append(role)
