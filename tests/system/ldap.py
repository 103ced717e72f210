"""A real LDAP directory with one person in it, and a real SSSD that asks it.

Run by pytest as root, on a copy of a machine (tests/machine) or a virtual one alone: Debian's
packages change PAM and nsswitch.conf as they do on an administrator's machine. Copies share the
network, so both daemons have one of their own, with nothing in it but 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.system.accounts import Account
from tests.system.command import has_ended
from tests.system.host import Host, wait_for
from tests.system.live import removed
from tests.system.name_services import CACHE, PIPES
from tests.system.service import number_of_copy

PACKAGES = ("slapd", "ldap-utils", "sssd-ldap", "libnss-sss", "libpam-sss")
ARCHIVES = f"{CACHE}/ldap"
APT = ("apt-get", "-qq", "-y", "--no-install-recommends", "-o", f"Dir::Cache::archives={ARCHIVES}")
POLICY = "/usr/sbin/policy-rc.d"
NETWORK = "unixspawner-test"
BASE = "dc=example,dc=org"
MEMORY = "/var/lib/sss/db"
SSSD_CONF = "/etc/sssd/sssd.conf"
# A group that only the directory has.
OTHER_GROUP = "physics"

_SLAPD = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
suffix "dc=example,dc=org"
rootdn "gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth"
directory {folder}/data
access to attrs=userPassword by * auth
access to * by * read
"""
# SSSD keeps answers for 90 minutes (entry_cache_timeout) and 5 minutes (memcache_timeout) unless it
# is told otherwise, and asks an absent directory again after a minute. In real life these times
# come on top of what the service promises; here they are a second, so that tests need not wait.
_SSSD = """
[sssd]
services = nss, pam
domains = example
[nss]
memcache_timeout = 1
entry_negative_timeout = 1
[pam]
pam_id_timeout = 1
[domain/example]
id_provider = ldap
ldap_schema = rfc2307
ldap_uri = ldaps://127.0.0.1
ldap_search_base = dc=example,dc=org
ldap_tls_cacert = {folder}/cert.pem
cache_credentials = true
entry_cache_timeout = 1
offline_timeout = 1
offline_timeout_random_offset = 0
"""
_CONNECT = f"import socket; socket.socket(socket.AF_UNIX).connect('{PIPES}/nss')"
_TOP = """
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example
"""
_PERSON = """
dn: uid={name},dc=example,dc=org
objectClass: account
objectClass: posixAccount
uid: {name}
cn: {name}
uidNumber: {uid}
gidNumber: {gid}
homeDirectory: {home}
loginShell: /bin/bash
userPassword: {password}
"""
_GROUP = """
dn: cn={name},dc=example,dc=org
objectClass: posixGroup
cn: {name}
gidNumber: {gid}
"""
_CHANGE = """
dn: cn={group},dc=example,dc=org
changetype: modify
{word}: memberUid
memberUid: {name}
"""


@dataclass
class Daemon:
    """A program in the foreground, in the network of the directory."""

    host: Host
    command: tuple[str, ...]
    question: tuple[str, ...]
    """A command that succeeds when it answers."""
    pid: int = field(default=0, init=False)

    def start(self) -> None:
        script = 'setsid nsenter --net="$@" >/dev/null 2>&1 </dev/null & echo $!'
        words = ("sh", f"/run/netns/{NETWORK}", *self.command)
        self.pid = int(self.host.run("sh", "-c", script, *words).out)
        wait_for(f"an answer of {self.command[0]}", self._answers)

    def stop(self) -> None:
        """Its children are gone when it is."""
        self.host.run("kill", str(self.pid))
        wait_for(f"the end of {self.command[0]}", lambda: has_ended(self.host, self.pid))

    def _answers(self) -> bool:
        return self.host.run(*self.question, check=False).status == 0

    @contextmanager
    def running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.stop()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()


@dataclass
class Ldap:
    """The directory, and the one person who is in it and nowhere else."""

    host: Host
    person: Account
    gid: int
    slapd: Daemon
    sssd: Daemon
    address: str

    def join(self, group: str) -> None:
        self._change(group, "add")
        wait_for(f"{group} in SSSD", lambda: group in self.groups())

    def leave(self, group: str) -> None:
        """Until SSSD says so itself: before that nobody on this machine can know."""
        self._change(group, "delete")
        wait_for(f"SSSD to forget {group}", lambda: group not in self.groups())

    @contextmanager
    def away(self) -> Iterator[None]:
        """No slapd; afterwards SSSD has noticed that there is one again."""
        with self.slapd.stopped():
            yield
        self.leave(OTHER_GROUP)
        self.join(OTHER_GROUP)

    def let_sssd_forget(self) -> None:
        """All that it keeps: accounts, groups and hashes of passwords."""
        with self.sssd.stopped():
            self.host.run("sh", "-c", f"rm {MEMORY}/*")

    def knows_the_person(self) -> bool:
        return self.groups() != []

    def groups(self) -> list[str]:
        """Those that the machine knows of now, none while it does not know the person."""
        return self.host.run("id", "-Gn", self.person.name, check=False).out.split()

    def _change(self, group: str, word: str) -> None:
        text = _CHANGE.format(group=group, word=word, name=self.person.name)
        self.host.run("ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", self.address, stdin=text)


def may_install(host: Host) -> bool:
    """On machines that are there for tests, where an archive of Debian's is reached."""
    update = ("apt-get", "-qq", "--error-on=any", "update")
    return bool(number_of_copy()) or (
        host.reboots and host.run(*update, check=False, timeout=300).status == 0
    )


@contextmanager
def packages(host: Host) -> Iterator[None]:
    """Slapd and SSSD as an administrator installs them, but that they are not started."""
    before, accounts, files = _installed(host), _accounts(host), _files_of_packages(host)
    host.run("mkdir", "-p", ARCHIVES)
    no_example = "slapd slapd/no_configuration boolean true"
    host.run("debconf-set-selections", stdin=no_example)
    with no_daemons(host):
        try:
            if host.run("apt-cache", "show", PACKAGES[0], check=False).status != 0:
                _apt(host, "update")
            _apt(host, "install", *PACKAGES)
            yield
        finally:
            _apt(host, "purge", *(_installed(host) - before))
            for name in _accounts(host) - accounts:
                host.run("userdel", name)
            host.run("rm", "-rf", "/var/lib/sss", "/var/log/sssd", "/var/lib/ldap")
    assert (_installed(host), _accounts(host)) == (before, accounts)
    assert _files_of_packages(host) == files


def _apt(host: Host, *words: str) -> None:
    """Downloads what is not there yet; copies share that, one at a time."""
    command = ("env", "DEBIAN_FRONTEND=noninteractive", *APT, *words)
    host.run("flock", ARCHIVES, *command, timeout=300)


def _installed(host: Host) -> frozenset[str]:
    status = host.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${binary:Package}\n").out
    return frozenset(line.split()[1] for line in status.splitlines() if line.startswith("inst"))


def _accounts(host: Host) -> frozenset[str]:
    lines = host.run("cat", "/etc/passwd").out.splitlines()
    return frozenset(line.partition(":")[0] for line in lines)


def _files_of_packages(host: Host) -> str:
    """What the packages change and must put back."""
    return host.run("sh", "-c", "cat /etc/nsswitch.conf /etc/pam.d/common-*").out


@contextmanager
def no_daemons(host: Host) -> Iterator[None]:
    """Packages ask this file whether they may start their daemons; containers have one already."""
    if host.run("test", "-e", POLICY, check=False).status == 0:
        yield
        return
    host.run("install", "-m", "0755", "/dev/stdin", POLICY, stdin="#!/bin/sh\nexit 101\n")
    try:
        yield
    finally:
        host.run("rm", POLICY)


@contextmanager
def network(host: Host) -> Iterator[None]:
    """One of the daemons' own: LDAP's port is open there and nowhere else."""
    host.run("ip", "netns", "add", NETWORK)
    try:
        host.run("ip", "-n", NETWORK, "link", "set", "lo", "up")
        yield
    finally:
        host.run("ip", "netns", "delete", NETWORK)


@contextmanager
def directory_of(host: Host, person: Account, *groups: str) -> Iterator[Ldap]:
    """Move a person from the machine's files to LDAP, where these groups are, without members."""
    gid = int(host.run("id", "-g", person.name).out)
    gids = {person.name: gid, OTHER_GROUP: person.uid + 500}
    for group in groups:  # the same number: SSSD's members come on top of the files' own
        gids[group] = int(host.run("getent", "group", group).out.split(":")[2])
    with removed(host, person), packages(host), network(host), _folder(host) as folder:
        _write(host, folder, person, gid, gids)
        address = f"ldapi://{folder.replace('/', '%2F')}%2Fldapi"
        listen = ("-h", f"ldaps://127.0.0.1/ {address}")
        serve = ("slapd", "-d", "0", "-f", f"{folder}/slapd.conf", *listen)
        slapd = Daemon(host, serve, ("ldapwhoami", "-Q", "-Y", "EXTERNAL", "-H", address))
        sssd = Daemon(host, ("sssd", "-i"), ("/usr/bin/python3", "-Ic", _CONNECT))
        ldap = Ldap(host, person, gid, slapd, sssd, address)
        with slapd.running(), sssd.running():
            wait_for("the account", ldap.knows_the_person)
            ldap.join(OTHER_GROUP)
            yield ldap


@contextmanager
def _folder(host: Host) -> Iterator[str]:
    folder = host.run("mktemp", "-d", "/var/tmp/unixspawner-test.XXXXXX").out.strip()
    try:
        yield folder
    finally:
        host.run("rm", "-rf", folder, SSSD_CONF)


def _write(host: Host, folder: str, person: Account, gid: int, gids: dict[str, int]) -> None:
    """Configurations, certificate and entries."""
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem")
    host.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files)
    host.run("mkdir", f"{folder}/data")
    host.run("tee", f"{folder}/slapd.conf", stdin=_SLAPD.format(folder=folder))
    text = _SSSD.format(folder=folder)
    host.run("install", "-m", "0600", "/dev/stdin", SSSD_CONF, stdin=text)
    facts = {"name": person.name, "uid": person.uid, "gid": gid, "home": person.home}
    entries = [_TOP, _PERSON.format(password=person.password, **facts)]
    entries += [_GROUP.format(name=name, gid=number) for name, number in gids.items()]
    host.run("slapadd", "-f", f"{folder}/slapd.conf", stdin="".join(entries))
