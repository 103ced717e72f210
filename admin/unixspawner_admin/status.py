"""Whether the service answers, and who has a server: for people, init scripts and monitoring."""

from dataclasses import dataclass

from . import options, paths, services, system
from .errors import AdminError
from .marked import marked_processes

RUNNING, NOT_ANSWERING, NOT_RUNNING = 0, 1, 3  # as the LSB numbers them


@dataclass(frozen=True)
class Status:
    code: int
    lines: tuple[str, ...]


def read_options() -> options.Options:
    """The options of the installation.

    Raises:
        AdminError: there is none.
    """
    text = system.read_text(paths.OPTIONS)
    if text is None:
        raise AdminError("unixspawner is not installed here: run ./install in a clone.")
    return options.parse([], options.read_remembered(text))[0]


def is_answering(wait: float, pid: int = 0) -> bool:
    chosen = read_options()
    return services.wait_until_answering(chosen.url, chosen.hub_account, wait, pid)


def describe() -> Status:
    chosen = read_options()
    url = chosen.url
    runs, answers = services.runs(services.HUB), services.answers(url, chosen.hub_account)
    hub = {
        (True, True): (RUNNING, f"The service runs and answers at {url}"),
        (True, False): (NOT_ANSWERING, f"The service runs, but does not answer at {url}"),
        (False, True): (
            NOT_RUNNING,
            f"The service does not run; a proxy of it answers at {url}",
        ),
        (False, False): (NOT_RUNNING, "The service does not run."),
    }
    code, line = hub[runs, answers]
    return Status(code, (line, *_describe_servers()))


def _describe_servers() -> list[str]:
    servers = {(process.account, process.server_id) for process in marked_processes()}
    if not servers:
        return ["No servers of people are running."]
    return [f"Running: a server of {account}" for account, _ in sorted(servers)]
