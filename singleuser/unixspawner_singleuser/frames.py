"""What stands around the pages of this server: the way home, to the hub, and out.

Run as the person signed in.
"""

from __future__ import annotations

from .pages import Frame, Link
from .settings import Settings


def frame_of(settings: Settings) -> Frame:
    """With a host of its own the hub's logo would be a foreign resource."""
    if settings.dev:
        return Frame(unprotected=True)
    hub = settings.hub_prefix
    return Frame(
        logo_url="" if settings.hub_host else f"{hub}logo",
        icon_url="" if settings.hub_host else f"{hub}static/unixspawner/icon.svg",
        home_url=f"{settings.prefix}apps/",
        links=(
            Link("Control panel", settings.hub_home_url, id="jupyterhub-control-panel-link"),
            Link("Sign out", f"{settings.prefix}logout"),
        ),
    )
