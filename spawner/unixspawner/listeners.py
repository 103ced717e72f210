"""Who listens at an address of this machine, as the kernel tells everybody. Run in the hub."""

import contextlib
import ipaddress
import pwd

_LISTENING = "0A"  # the state in /proc/net/tcp, see proc(5)


def owner_of(host: str, port: int) -> int | None:
    """The uid of the program that has an address, or all of them, at this port; None for nobody."""
    wanted = ipaddress.ip_address(host)
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for address, number, uid in _listeners(table):
            everywhere = address.is_unspecified or wanted.is_unspecified
            if number == port and (address == wanted or everywhere):
                return uid
    return None


def _listeners(
    table: str,
) -> list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int, int]]:
    with contextlib.suppress(OSError), open(table, encoding="ascii") as file:
        rows = [line.split() for line in list(file)[1:]]
        return [
            (_address(row[1].partition(":")[0]), int(row[1].partition(":")[2], 16), int(row[7]))
            for row in rows
            if row[3] == _LISTENING
        ]
    return []


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Words of four octets, each in the order of this machine."""
    octets = bytes.fromhex(text)
    return ipaddress.ip_address(b"".join(octets[i : i + 4][::-1] for i in range(0, len(octets), 4)))


def name_of(uid: int) -> str:
    """The account's name, for people."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
