"""Starts, stops and watches our services: with systemd where it runs, else with SysV scripts."""

import hashlib
import http.client
import ipaddress
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from . import system
from .errors import AdminError
from .paths import RUN

_LISTENING = "0A"  # the state in /proc/net/tcp
_ALIVE = ("active", "activating", "reloading")


@dataclass(frozen=True)
class Service:
    name: str

    @property
    def unit(self) -> Path:
        return Path(f"/etc/systemd/system/{self.name}.service")

    @property
    def script(self) -> Path:
        return Path(f"/etc/init.d/{self.name}")

    @property
    def definition(self) -> Path:
        return self.unit if systemd_runs() else self.script


HUB = Service("unixspawner")
DEMO = Service("unixspawner-demo")


def systemd_runs() -> bool:
    """sd_booted(3): whether systemd is PID 1."""
    return Path("/run/systemd/system").is_dir()


def runs(service: Service) -> bool:
    if systemd_runs():
        return system.try_run(["systemctl", "is-active", service.name])[1].strip() in _ALIVE
    return service.script.exists() and system.try_run([str(service.script), "status"])[0] == 0


def start(service: Service) -> None:
    """Start or restart; returns when it answers.

    Raises:
        AdminError: it does not; the text has the last lines of its log.
    """
    if systemd_runs():
        _start_with_systemd(service)
    else:
        system.run([str(service.script), "restart"])


def _start_with_systemd(service: Service) -> None:
    status, output = _told_to_systemd("restart", service)
    if status != 0:
        journal = system.try_run(["journalctl", "-u", service.name, "-n", "15", "--no-pager"])[1]
        raise AdminError(f"The service {service.name} does not start: {output.strip()}\n{journal}")


def stop(service: Service) -> None:
    if systemd_runs():
        _told_to_systemd("stop", service)
    elif service.script.exists():
        system.run([str(service.script), "stop"])


def _told_to_systemd(verb: str, service: Service) -> tuple[int, str]:
    """How long it may take is systemd's to know: TimeoutStartSec=, TimeoutStopSec=."""
    return system.try_run(["systemctl", verb, service.name], bounded=False)


def reload_definitions() -> None:
    if systemd_runs():
        system.run(["systemctl", "daemon-reload"])


def is_enabled(service: Service) -> bool:
    """Whether it starts at boot; True where nothing is there to arrange it."""
    if systemd_runs():
        return system.try_run(["systemctl", "is-enabled", "--quiet", service.name])[0] == 0
    if not Path("/usr/sbin/update-rc.d").exists():
        return True
    return any(Path("/etc/rc2.d").glob(f"S??{service.name}"))


def enable(service: Service) -> None:
    if systemd_runs():
        system.run(["systemctl", "enable", "--quiet", service.name])
    else:
        system.run(["update-rc.d", service.name, "defaults"])


def disable(service: Service) -> None:
    """Tolerates that it is gone already."""
    if systemd_runs():
        system.try_run(["systemctl", "disable", "--quiet", service.name])
    else:
        system.try_run(["update-rc.d", "-f", service.name, "remove"])


def answers(url: str, hub_account: str, timeout: float = 3.0) -> bool:
    """Whether our hub answers at its public address: any account can take a port and imitate it."""
    parts = urlsplit(url)
    assert parts.hostname is not None, url
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    if listener_uid(parts.hostname, port) != system.uid_of(hub_account):
        return False
    connection = _connect(parts.scheme, parts.hostname, parts.port, timeout)
    try:
        connection.request("GET", parts.path + "hub/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listener_uid(host: str, port: int) -> int | None:
    """Whose program has an address, or all of them; None when nobody does.

    Asked for all addresses, a program at any one of them is in the way.
    """
    address = ipaddress.ip_address(host)
    packed = address.packed
    # as proc(5) writes it: words of four octets in the order of this machine
    words = (packed[i : i + 4][::-1] for i in range(0, len(packed), 4))
    places = {b"".join(words).hex().upper(), "0" * 8, "0" * 32}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (system.read_text(Path(table)) or "").splitlines()[1:]:
            fields = line.split()
            place, _, number = fields[1].rpartition(":")
            if fields[3] == _LISTENING and int(number, 16) == port:
                if place not in places and not address.is_unspecified:
                    continue
                return int(fields[7])
    return None


def _connect(
    scheme: str, host: str, port: int | None, timeout: float
) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout)
    # we ask ourselves, by number, and send nothing: the certificate's name cannot match
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)


def wait_until_answering(url: str, hub_account: str, seconds: float, pid: int = 0) -> bool:
    """Not longer than a process of that number exists; 0 watches none."""
    deadline = time.monotonic() + seconds
    while not (_has_socket() and answers(url, hub_account)):
        is_gone = pid != 0 and system.process_uid(pid) is None
        if is_gone or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _has_socket() -> bool:
    """Asking before fills the proxy's log with complaints. Who may not look there asks anyway."""
    try:
        (RUN / "hub.sock").stat()
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    return True


def digest_of(paths: list[Path], more: str = "") -> str:
    """One value for everything that a service reads at its start."""
    sha = hashlib.sha256(more.encode())
    for path in paths:
        sha.update(f"{path}\0".encode())
        sha.update(system.read_bytes(path.resolve()) or b"")
    return sha.hexdigest()


def prepare_runtime(service: Service) -> None:
    """The runtime directory; SysV scripts make it themselves."""
    if service == HUB and systemd_runs():
        system.run(["systemd-tmpfiles", "--create", "/etc/tmpfiles.d/unixspawner.conf"])
