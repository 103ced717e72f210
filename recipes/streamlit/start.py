"""Streamlit behind the gateway: the person's own script, or else a demonstration.

Run as the person signed in: `start.py --socket PATH`. Whoever reaches that socket has been let in
by the gateway, which has also checked where a WebSocket comes from. Streamlit's own command only
listens on TCP ports; here it is an ASGI application of uvicorn.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

import uvicorn
from streamlit.starlette import App
from streamlit.web.bootstrap import load_config_options

OWN = Path("~/streamlit/app.py")
DEMO = Path(__file__).with_name("demo.py")


# Over what the person's ~/.streamlit/config.toml says.
SETTINGS = {
    # The gateway takes the prefix away. With one Streamlit would redirect to its place without a
    # slash at the end, and the gateway back.
    "server.baseUrlPath": "",
    "server.headless": True,  # no question at the first start, no browser
    "browser.gatherUsageStats": False,
    # The gateway has checked where a request comes from, by names that Streamlit does not know.
    "server.enableCORS": False,
    "server.enableXsrfProtection": False,
    "client.toolbarMode": "minimal",
}


def script() -> Path:
    own = OWN.expanduser()
    return own if own.is_file() else DEMO


def listener(path: str) -> socket.socket:
    """For the person alone: uvicorn itself would let everybody connect."""
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    os.chmod(path, 0o600)
    return unix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    asked = parser.parse_args()
    chosen = script()
    sys.argv = [str(chosen)]
    sys.path[0] = str(chosen.parent)  # as `streamlit run` has it
    application = App(chosen)  # from here on Streamlit knows where the script's settings are
    load_config_options(SETTINGS)
    config = uvicorn.Config(
        application, ws="websockets-sansio", access_log=False, ws_max_size=200 * 1024 * 1024
    )
    uvicorn.Server(config).run(sockets=[listener(asked.socket)])


if __name__ == "__main__":
    main()
