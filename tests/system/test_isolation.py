"""What other accounts of the machine can see and reach of the service: next to nothing.

Run as root, and as mallory, bob and the hub's account.
"""

from __future__ import annotations

import json

import pytest
from tests.system.accounts import Accounts, replaced_file
from tests.system.browserless import Browserless
from tests.system.fixtures import OpenBrowser
from tests.system.host import Host
from tests.system.logs import HUB_LOG, SudoLog
from tests.system.people import server_of
from tests.system.service import DEMO_SOCKET, RUN, has_systemd, options

PLACES = (
    *("/opt/unixspawner", "/etc/unixspawner", "/etc/sudoers.d/unixspawner"),
    *("/etc/pam.d/unixspawner", "/etc/pam.d/unixspawner-session"),
    *("/usr/local/libexec/unixspawner", "/usr/local/bin/unixspawner"),
    *("/var/lib/unixspawner", "/var/log/unixspawner", RUN, "/run/unixspawner-demo"),
)
_CONNECT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    try:
        connection.connect(sys.argv[1])
    except OSError as error:
        print(type(error).__name__)
    else:
        print("connected")
"""


def connect(host: Host, account: str, path: str) -> str:
    return host.as_account(account, "/usr/bin/python3", "-I", "-c", _CONNECT, path).out.strip()


def sockets_of_servers(host: Host) -> list[str]:
    return host.run("find", f"{RUN}/servers", "-type", "s").out.split()


@pytest.mark.parametrize("account", ["mallory", "bob", "alice", "unixspawner-demo"])
def test_nobody_connects_to_a_server_but_the_hub(
    host: Host, accounts: Accounts, browser: OpenBrowser, account: str
) -> None:
    browser().sign_in(accounts.alice)
    sockets = sockets_of_servers(host)
    assert sockets != []
    for path in sockets:
        assert connect(host, account, path) == "PermissionError"
        assert connect(host, options(host).hub_account, path) == "connected"


@pytest.mark.parametrize("account", ["mallory", "bob", "unixspawner-demo"])
def test_nobody_connects_to_the_proxys_api(host: Host, accounts: Accounts, account: str) -> None:
    assert connect(host, account, f"{RUN}/proxy-api.sock") == "PermissionError"
    assert connect(host, options(host).hub_account, f"{RUN}/proxy-api.sock") == "connected"


def test_only_members_connect_to_the_hubs_api(host: Host, accounts: Accounts) -> None:
    assert connect(host, "alice", f"{RUN}/hub.sock") == "connected"
    assert connect(host, "mallory", f"{RUN}/hub.sock") == "PermissionError"
    assert connect(host, "unixspawner-demo", f"{RUN}/hub.sock") == "PermissionError"


def test_members_cannot_replace_or_list_what_is_beside_the_hubs_socket(
    host: Host, accounts: Accounts
) -> None:
    for command in (("ls", RUN), ("touch", f"{RUN}/x"), ("rm", "-f", f"{RUN}/hub.sock")):
        assert host.as_account("alice", *command, check=False).status != 0


def test_whoever_connects_to_the_demo_is_himself(host: Host, accounts: Accounts) -> None:
    for name in ("alice", "mallory"):
        command = ("curl", "-sS", "--unix-socket", DEMO_SOCKET, "-H", "X-Forwarded-User: bob")
        answer = host.as_account(name, *command, "http://demo/whoami").out
        assert json.loads(answer)["name"] == name


def listeners(host: Host) -> set[str]:
    """Address and process of everything that listens for TCP or UDP on this machine.

    What has no process here is a neighbour's: copies of a machine share its network.
    """
    lines = [line.split(None, 6) for line in host.run("ss", "-Hltnup").out.splitlines()]
    return {f"{line[0]} {line[4]} {line[6]}" for line in lines if len(line) > 6}


def test_a_server_adds_no_listener(host: Host, accounts: Accounts, browser: OpenBrowser) -> None:
    before = listeners(host)
    browser().sign_in(accounts.alice)
    browser().sign_in(accounts.bob)
    assert listeners(host) - before == set()


_LISTENERS_OF = r"""
import json, os, pwd, sys
uids = {pwd.getpwnam(name).pw_uid for name in sys.argv[1:]}
found = []
for table in ("tcp", "tcp6", "udp", "udp6"):
    with open(f"/proc/net/{table}") as file:
        for line in list(file)[1:]:
            fields = line.split()
            listens = fields[3] == ("0A" if table.startswith("tcp") else "07")
            if listens and int(fields[7]) in uids:
                found.append([table, fields[1]])
json.dump(sorted(found), sys.stdout)
"""


def test_the_public_address_is_the_only_one_that_anything_of_ours_listens_on(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    ours = (options(host).hub_account, options(host).pam_account, "unixspawner-demo", "alice")
    program = ("/usr/bin/python3", "-I", "-c", _LISTENERS_OF)
    found = json.loads(host.run(*program, *ours).out)
    address = "".join(f"{int(n):02X}" for n in reversed(options(host).bind.split(".")))
    assert found == [["tcp", f"{address}:{options(host).port:04X}"]]


# Secrets

_SEARCH = r"""
import json, os, stat, sys
order = json.load(sys.stdin)
secrets = [secret.encode() for secret in order["secrets"]]
found, looked = [], 0

def look(path, limit=50_000_000):
    global looked
    try:
        with open(path, "rb") as file:
            data = file.read(limit)
    except OSError:
        return
    looked += 1
    found.extend([path, order["secrets"][i]] for i, s in enumerate(secrets) if s in data)

for name in filter(str.isdigit, os.listdir("/proc")):
    if int(name) != os.getpid():
        for kind in order["of_processes"]:
            look(f"/proc/{name}/{kind}")
for place in order["places"]:
    if os.path.isfile(place):
        look(place)
    for folder, folders, files in os.walk(place):
        for name in files:
            path = os.path.join(folder, name)
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    look(path)
            except OSError:
                pass
json.dump({"found": found, "looked": looked}, sys.stdout)
"""


def search(
    host: Host, account: str, secrets: list[str], places: list[str], of_processes: list[str]
) -> list[list[str]]:
    """Where an account finds which secret. The secrets travel by standard input."""
    order = {"secrets": secrets, "places": places, "of_processes": of_processes}
    program = ("/usr/bin/python3", "-I", "-c", _SEARCH)
    out = host.as_account(account, *program, stdin=json.dumps(order), timeout=120).out
    result = json.loads(out)
    assert result["looked"] > 0, "nothing could be looked at: the test sees nothing"
    found: list[list[str]] = result["found"]
    return found


def hub_secrets(host: Host) -> list[str]:
    secret = host.run("cat", "/var/lib/unixspawner/jupyterhub_cookie_secret").out.strip()
    pids = host.run("pgrep", "-u", options(host).hub_account).out.split()
    environments = "".join(host.run("cat", f"/proc/{pid}/environ").out for pid in pids)
    variables = dict(v.split("=", 1) for v in environments.split("\0") if "=" in v)
    assert "CONFIGPROXY_AUTH_TOKEN" in variables
    return [secret, variables["CONFIGPROXY_AUTH_TOKEN"]]


def all_secrets(host: Host, accounts: Accounts, person: Browserless) -> list[str]:
    server = server_of(host, "alice")
    token = server.environment["JUPYTERHUB_API_TOKEN"]
    session = [value for name, value in person.cookies.items() if not name.startswith("_xsrf")]
    assert len(session) >= 2
    passwords = [account.password for account in accounts]
    return [*passwords, token, *session, *hub_secrets(host)]


def told_by_systemd(host: Host, account: str) -> str:
    """What an account hears that asks about every unit and for the journal."""
    units = host.as_account(account, "systemctl", "show", "--all", "*", timeout=60).out
    assert "\nId=unixspawner.service\n" in units
    journal = ("journalctl", "-q", "--since", "-1h", "-o", "verbose")
    return units + host.as_account(account, *journal, check=False, timeout=60).out


@pytest.mark.promise(5)
def test_no_other_account_finds_a_secret(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    secrets = all_secrets(host, accounts, alice)
    places = [*PLACES, "/tmp", "/var/tmp", "/home", "/var/log", "/dev/shm"]
    for account in ("mallory", "bob", "unixspawner-demo"):
        assert search(host, account, secrets, places, ["cmdline", "environ", "status"]) == []
        said = told_by_systemd(host, account) if has_systemd(host) else ""
        assert [secret for secret in secrets if secret in said] == []


@pytest.mark.promise(5)
def test_the_command_lines_of_the_machine_show_no_secret(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    secrets = all_secrets(host, accounts, alice)
    assert search(host, "root", secrets, [], ["cmdline"]) == []
    listing = host.run("ps", "axww", "-o", "args").out
    assert [secret for secret in secrets if secret in listing] == []


@pytest.mark.promise(5)
def test_no_log_holds_a_secret(
    host: Host, accounts: Accounts, browser: OpenBrowser, all_sudo_calls: SudoLog
) -> None:
    alice = browser()
    alice.sign_in(accounts.alice)
    alice.submit_sign_in("alice", "a-wrong-password-of-the-log-test")
    alice.sign_out()
    alice.sign_in(accounts.alice)
    secrets = [*all_secrets(host, accounts, alice), "a-wrong-password-of-the-log-test"]
    places = ["/var/log", f"{accounts.alice.home}/.local/state", "/var/lib/sudo", "/run/sudo"]
    if not has_systemd(host):
        assert host.run("test", "-s", HUB_LOG, check=False).status == 0
    else:
        journal = host.run("journalctl", "--since", "-1h", "-o", "cat").out
        assert [secret for secret in secrets if secret in journal] == []
    assert all_sudo_calls.records() != []
    assert search(host, "root", secrets, places, []) == []


def test_the_search_finds_a_secret_where_there_is_one(host: Host, accounts: Accounts) -> None:
    """So that the tests above cannot be green because they see nothing."""
    marker = "needle-in-the-issue-file"
    with replaced_file(host, "/etc/issue.net", f"{marker}\n"):
        found = search(host, "mallory", [marker], ["/etc/issue.net"], [])
    assert found == [["/etc/issue.net", marker]]


# Files

WRITABLE_BY_OTHERS = {f"{RUN}/hub.sock", DEMO_SOCKET}


def test_nothing_of_ours_is_writable_by_others_except_two_sockets(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    command = ("find", *PLACES, "-perm", "/022", "!", "-type", "l")
    found = host.run(*command, check=False).out.split()
    assert set(found) == WRITABLE_BY_OTHERS


def test_what_is_privileged_belongs_to_root(host: Host) -> None:
    places = ("/opt/unixspawner", "/etc/unixspawner", "/usr/local/libexec/unixspawner")
    single = ("/etc/sudoers.d/unixspawner", "/etc/pam.d/unixspawner")
    found = host.run("find", *places, *single, "!", "-user", "root").out
    assert found == ""


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/etc/gshadow",
        "/root/.",
        "/etc/sudoers",
        "/etc/sudoers.d/unixspawner",
    ],
)
def test_the_hub_cannot_read_what_is_roots(host: Host, path: str) -> None:
    command = ("ls", path) if path.endswith("/.") else ("cat", path)
    assert host.as_account(options(host).hub_account, *command, check=False).status != 0


def test_the_hub_cannot_change_what_decides_about_it(host: Host) -> None:
    for path in PLACES[:7]:
        command = ("test", "-w", path)
        assert host.as_account(options(host).hub_account, *command, check=False).status == 1, path


def test_the_hub_has_no_group_that_gives_it_rights(host: Host) -> None:
    hub = options(host).hub_account
    assert host.run("id", "-Gn", hub).out.split() == [hub]


def test_the_hub_cannot_look_into_or_end_a_persons_server(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    server = server_of(host, "alice")
    hub = options(host).hub_account
    for command in (
        ("cat", f"/proc/{server.pid}/environ"),
        ("kill", str(server.pid)),
        ("cat", f"{accounts.alice.home}/.local/state/unixspawner/server.log"),
    ):
        assert host.as_account(hub, *command, check=False).status != 0


def test_nothing_of_ours_runs_as_root_but_sudo(
    host: Host, accounts: Accounts, browser: OpenBrowser
) -> None:
    browser().sign_in(accounts.alice)
    lines = host.run("ps", "-u", "root", "-ww", "-o", "args=").out.splitlines()
    places = ("/opt/unixspawner/", "/usr/local/libexec/unixspawner/", "/etc/unixspawner/")
    ours = [line for line in lines if any(place in line for place in places)]
    assert [line for line in ours if line.split()[0] != "/usr/bin/sudo"] == []
    assert [line for line in ours if line.endswith("/mediator start")] != []
