"""`python -m unixspawner`: the hub, as the service starts it."""

from .hub import UnixHub

UnixHub.launch_instance()
