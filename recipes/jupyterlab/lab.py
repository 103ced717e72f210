"""JupyterLab behind the gateway: on a Unix socket, without a sign-in of its own.

Run as the person signed in, by the Python of the environment that JupyterLab is in:
`lab.py --socket PATH --prefix /user/alice/`. The gateway has authenticated every request that
arrives here and has checked its _xsrf token and its origin; nobody but the person, root and that
gateway can connect. What must hold is forced; everything else is a default that the person's own
configuration in ~/.jupyter overrides.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from itertools import takewhile
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from jupyterlab.labapp import LabApp
from tornado.web import RequestHandler
from traitlets.config import Config

KERNEL = str(Path(__file__).with_name("kernel.py"))
# Of a kernel's sockets: "/kernel-", a UUID, "-ipc-" and a digit. The kernel of the machine allows
# 107 bytes for the whole path.
ROOM_FOR_A_KERNEL = 107 - len("/kernel-") - 36 - len("-ipc-1")
SWITCHED_OFF = (
    # It has an adapter listen on a TCP port, where any account of this machine could debug along.
    "@jupyterlab/debugger-extension",
    # It asks everybody whether he wants news from elsewhere.
    "@jupyterlab/apputils-extension:announcements",
)


class SignOut(JupyterHandler):
    """JupyterLab's own way out leads to the gateway's, which ends the session."""

    @allow_unauthenticated
    def get(self) -> None:
        here = os.path.dirname(self.request.path)
        self.redirect(os.path.relpath(f"{_place()}logout", here))


class GatewayIdentity(IdentityProvider):
    """Whoever the gateway says is asking: the account, or somebody who is visiting it."""

    token = ""
    logout_handler_class = SignOut

    def get_user(self, handler: RequestHandler) -> User:
        headers = handler.request.headers
        return User(headers.get("X-Forwarded-Visitor") or headers.get("X-Forwarded-User", "nobody"))

    def is_token_authenticated(self, handler: RequestHandler) -> bool:
        """True, so that Jupyter does not ask for _xsrf and Origin what the gateway has asked."""
        return True

    @property
    def login_available(self) -> bool:
        return False


class KernelManager(ServerKernelManager):
    """Kernels on Unix sockets, also those that people have added in environments of their own."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        python, *words = super().format_kernel_cmd(extra_arguments)
        options = list(takewhile(lambda word: word.startswith("-") and word != "-m", words))
        module, rest = words[len(options) : len(options) + 2], words[len(options) + 2 :]
        if module == ["-m", "ipykernel_launcher"]:
            return [python, *options, KERNEL, *rest]
        return [python, *words]


def _place() -> str:
    """Where the person's server is: not where JupyterLab is, if that is one of several."""
    return os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")


def page_config(_handler: RequestHandler, config: dict[str, Any]) -> dict[str, Any]:
    """What JupyterLab's page is told: with a hub, its File menu has the hub's two entries."""
    hub = os.environ.get("JUPYTERHUB_BASE_URL", "/") + "hub/"
    config["hubHost"] = os.environ.get("JUPYTERHUB_HOST", "")
    config["hubPrefix"] = hub
    config["hubUser"] = os.environ.get("JUPYTERHUB_USER", "")
    config["hubServerName"] = os.environ.get("JUPYTERHUB_SERVER_NAME", "")
    config["shareUrl"] = f"{hub}user-redirect"
    config["buildCheck"] = config["buildAvailable"] = False  # the environment is root's
    config["disabledExtensions"] = [*(config.get("disabledExtensions") or ()), *SWITCHED_OFF]
    return config


def forced(socket: str, prefix: str) -> list[str]:
    """Options on a command line, which no file of the person's overrides."""
    options = {
        "ServerApp.sock": socket,
        "ServerApp.sock_mode": "0600",
        "ServerApp.port": "8888",  # the default: any other one and a socket exclude each other
        "ServerApp.certfile": "",
        "ServerApp.keyfile": "",
        "ServerApp.base_url": prefix,
        "ServerApp.identity_provider_class": f"{__name__}.GatewayIdentity",
        "ServerApp.allow_remote_access": "True",  # a name other than localhost in Host
        "ServerApp.open_browser": "False",
        "KernelManager.transport": "ipc",
        "MultiKernelManager.kernel_manager_class": f"{__name__}.KernelManager",
    }
    return [f"--{name}={value}" for name, value in options.items()]


def defaults(directory: Path, home: Path) -> Config:
    """In the working directory, from where the whole home can be reached if it lies there."""
    config = Config()
    below_home = directory.is_relative_to(home)
    config.ServerApp.root_dir = str(home if below_home else directory)
    config.ServerApp.quit_button = False  # servers end in the hub, applications on the home page
    config.ServerApp.tornado_settings = {"page_config_hook": page_config}
    if below_home:
        config.FileContentsManager.preferred_dir = str(directory)
    config.LabApp.extension_manager = "readonly"
    config.LabApp.news_url = None
    config.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
    return config


def runtime_directory(socket: str) -> str:
    """For the kernels' sockets: beside our own, which is private, or else in one of our making."""
    beside = os.path.join(os.path.dirname(socket), "j")
    if len(os.fsencode(beside)) > ROOM_FOR_A_KERNEL:
        return tempfile.mkdtemp(prefix="unixspawner-j")
    os.makedirs(beside, mode=0o700, exist_ok=True)
    return beside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("more", nargs="*", help="further options of JupyterLab, after --")
    asked = parser.parse_args()
    os.environ["JUPYTER_RUNTIME_DIR"] = runtime_directory(asked.socket)
    argv = [*asked.more, *forced(asked.socket, asked.prefix)]
    config = defaults(Path.cwd(), Path.home())
    server = LabApp.initialize_server(argv=argv, config=config)
    server.start()


if __name__ == "__main__":
    main()
