"""What the doctor says of certificates: real ones, made here, with something wrong in each."""

from __future__ import annotations

import datetime
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from unixspawner_admin import paths, release
from unixspawner_admin.checks import tls
from unixspawner_admin.findings import Finding
from unixspawner_admin.options import Options

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="keys are root's")
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)

MakeOptions = Callable[..., Options]


def make_certificate(
    path: Path, key: ec.EllipticCurvePrivateKey, begin: int, end: int, names: list[str]
) -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + begin * DAY)
        .not_valid_after(NOW + end * DAY)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return key


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeOptions:
    monkeypatch.setattr(paths, "RUN_TLS", tmp_path / "run")
    monkeypatch.setattr(socket, "gethostname", lambda: "lab.example")
    monkeypatch.setattr(socket, "getfqdn", lambda: "lab.example")

    def make_options(
        begin: int = -1, end: int = 90, names: tuple[str, ...] = ("lab.example",)
    ) -> Options:
        certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
        make_certificate(certificate, make_key(key), begin, end, list(names))
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        (run / "cert.pem").write_bytes(certificate.read_bytes())
        (run / "key.pem").write_bytes(key.read_bytes())
        return Options(bind="192.0.2.7", tls_cert=str(certificate), tls_key=str(key))

    return make_options


def wrong(options: Options) -> list[Finding]:
    return [each for each in tls.check(options) if each.level != "ok"]


def test_a_good_certificate_is_good(make: MakeOptions) -> None:
    options = make()
    assert wrong(options) == []
    assert [each.text for each in tls.check(options)][2:4] == [
        f"the certificate is valid until {NOW + 90 * DAY:%Y-%m-%d}",
        "the certificate is for lab.example",
    ]


def test_dates(make: MakeOptions) -> None:
    (expired,) = wrong(make(begin=-10, end=-1))
    assert expired.level == "failure"
    assert expired.text == f"the certificate expired on {NOW - DAY:%Y-%m-%d}"
    (soon,) = wrong(make(end=8))
    assert soon.level == "warning"
    assert soon.text == f"the certificate expires in 7 days, on {NOW + 8 * DAY:%Y-%m-%d}"
    (early,) = wrong(make(begin=2))
    assert early.level == "failure"
    assert early.text.startswith("the certificate is valid only from ")


@pytest.mark.parametrize(
    ("names", "is_right"),
    [
        (("lab.example",), True),
        (("www.example", "LAB.example"), True),
        (("*.example",), True),
        (("*.lab.example",), False),
        (("other.example",), False),
        ((), False),
    ],
)
def test_names(make: MakeOptions, names: tuple[str, ...], is_right: bool) -> None:
    found = wrong(make(names=names))
    assert [each.level for each in found] == ([] if is_right else ["warning"])
    if not is_right:
        shown = ", ".join(names) or "no name at all"
        text = f"the certificate is for {shown}, not for this machine (lab.example)"
        assert found[0].text == text


def test_a_key_of_another_certificate(make: MakeOptions, tmp_path: Path) -> None:
    options = make()
    make_key(tmp_path / "key.pem")
    texts = [each.text for each in wrong(options)]
    assert texts[0].startswith(f"{options.tls_key} is not the private key of {options.tls_cert}: ")
    assert texts[1] == f"{options.tls_key} has changed since the service was started"


def test_a_key_that_others_can_read(make: MakeOptions, tmp_path: Path) -> None:
    options = make()
    (tmp_path / "key.pem").chmod(0o644)
    (found,) = wrong(options)
    assert found.text == f"others than root can read {options.tls_key}"
    assert os.system(found.cure) == 0
    assert wrong(options) == []


def test_a_renewed_certificate_counts_from_the_next_start(
    make: MakeOptions, tmp_path: Path
) -> None:
    options = make()
    (tmp_path / "run/cert.pem").write_text("the one before")
    (found,) = wrong(options)
    assert found == Finding(
        "warning",
        f"{options.tls_cert} has changed since the service was started",
        release.restart(),
    )


def test_what_is_no_certificate(make: MakeOptions, tmp_path: Path) -> None:
    options = make()
    (tmp_path / "chain.pem").write_text("not PEM")
    (found,) = wrong(options)
    assert (found.level, found.text) == (
        "failure",
        f"{options.tls_cert} is not a readable certificate",
    )
    (tmp_path / "chain.pem").unlink()
    assert wrong(options) == [found]


def test_passwords_in_the_clear_are_a_warning() -> None:
    assert list(tls.check(Options())) == []
    bare = replace(Options(insecure_http=True, bind="127.0.0.1"), bind="192.0.2.7")
    (found,) = wrong(bare)
    assert found.level == "warning"
    assert "passwords cross the network unencrypted" in found.text
