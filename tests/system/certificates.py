"""A certificate of this machine's own, what can be wrong with it, and what the doctor says then.

Run by pytest as root, while the service uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system import command
from tests.system.command import Finding
from tests.system.host import Host
from tests.unit.admin.test_tls import make_certificate, make_key

FOLDER = "/etc/ssl/lab"
CHAIN, KEY = f"{FOLDER}/chain.pem", f"{FOLDER}/key.pem"


@dataclass(frozen=True)
class Certificate:
    host: Host

    def make(self, *key: str) -> None:
        """Self-signed, for a month, for this machine by its name and its own address."""
        names = f"subjectAltName=IP:127.0.0.1,DNS:{self.host.run('hostname').out.strip()}"
        words = ("openssl", "req", "-x509", "-subj", "/CN=localhost", "-addext", names)
        self.host.run(*words, *key, "-out", CHAIN)

    def renew(self) -> None:
        self.make("-key", KEY)

    def replace(self, text: str) -> None:
        self.host.run("tee", CHAIN, stdin=text)

    def wrong(self) -> list[Finding]:
        """What the doctor has against certificate and key; it has looked at them."""
        found = command.findings(self.host)
        ours = [each for each in found if FOLDER in each.text or "the certificate" in each.text]
        assert ours != []
        return [each for each in ours if each.level != "ok"]

    def texts(self) -> list[str]:
        return [each.text for each in self.wrong()]

    def assert_the_doctor_reads_each(self, folder: Path) -> None:
        """Each fault for real, the certificate last; none of them is in use."""
        assert self.texts() == []
        self.host.run("chmod", "0644", KEY)
        (readable,) = self.wrong()
        assert readable.text == f"others than root can read {KEY}"
        self.host.run("sh", "-c", readable.cure)
        assert self.texts() == []
        self.renew()
        assert self.texts() == [f"{CHAIN} has changed since the service was started"]
        self.replace(_expired(folder / "expired.pem"))
        unfit, expired, elsewhere, changed = self.texts()
        assert unfit.startswith(f"{KEY} is not the private key of {CHAIN}: ")
        assert expired.startswith("the certificate expired on ")
        assert elsewhere.startswith("the certificate is for other.example, not for this machine (")
        assert changed == f"{CHAIN} has changed since the service was started"
        self.replace("no certificate\n")
        assert self.texts() == [f"{CHAIN} is not a readable certificate"]


def _expired(path: Path) -> str:
    """Another key's, for another machine; openssl makes none that is over."""
    make_certificate(path, make_key(path.with_suffix(".key")), -10, -1, ["other.example"])
    return path.read_text("utf-8")


@contextmanager
def certificate(host: Host) -> Iterator[Certificate]:
    """Where the page's command expects one."""
    assert host.run("test", "-e", FOLDER, check=False).status == 1
    host.run("install", "-d", "-m", "0700", FOLDER)
    made = Certificate(host)
    try:
        made.make("-newkey", "rsa:2048", "-nodes", "-keyout", KEY)
        yield made
    finally:
        host.run("rm", "-r", FOLDER)
