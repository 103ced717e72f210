"""Certificate and key: readable, fitting, valid for a while, for this machine, and in use."""

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

from .. import paths, release, system
from ..findings import Finding, judge
from ..options import Options

_SOON = datetime.timedelta(days=21)
_COPIES = ("cert.pem", "key.pem")


def check(options: Options) -> Iterator[Finding]:
    if not options.tls_cert:
        if not options.is_loopback:
            text = f"passwords cross the network unencrypted: {options.bind} without a certificate"
            yield Finding("warning", text, _with_certificate())
        return
    certificates = _read(options.tls_cert)
    if certificates is None:
        text = f"{options.tls_cert} is not a readable certificate"
        yield Finding("failure", text, _with_certificate())
        return
    first = certificates[0]
    yield _key_fits(options)
    yield _key_is_closed(Path(options.tls_key))
    yield from _dates(first)
    yield _names(first, options)
    yield from _in_use(options)


def _with_certificate() -> str:
    return f"{release.installer()} --tls-cert FILE --tls-key FILE"


def _read(path: str) -> list[x509.Certificate] | None:
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError):
        return None


def _key_fits(options: Options) -> Finding:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # the empty password makes OpenSSL fail instead of asking at the terminal
        context.load_cert_chain(options.tls_cert, options.tls_key, password="")
    except (OSError, ssl.SSLError) as error:
        text = f"{options.tls_key} is not the private key of {options.tls_cert}: {error}"
        return Finding("failure", text, _with_certificate())
    return Finding("ok", f"{options.tls_key} is the certificate's private key")


def _key_is_closed(path: Path) -> Finding:
    status = path.stat()
    right = status.st_uid == 0 and not status.st_mode & 0o007
    wrong = f"others than root can read {path}"
    return judge(
        right, f"{path} is closed to others", f"chown root {path} && chmod o= {path}", wrong=wrong
    )


def _dates(certificate: x509.Certificate) -> Iterator[Finding]:
    now = datetime.datetime.now(datetime.UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        text = f"the certificate is valid only from {begin:%Y-%m-%d %H:%M} UTC on"
        yield Finding("failure", text, "date   # and with a right clock: another certificate")
    if now >= end:
        yield Finding("failure", f"the certificate expired on {end:%Y-%m-%d}", _renew())
    elif end - now < _SOON:
        days = (end - now).days
        yield Finding(
            "warning", f"the certificate expires in {days} days, on {end:%Y-%m-%d}", _renew()
        )
    else:
        yield Finding("ok", f"the certificate is valid until {end:%Y-%m-%d}")


def _renew() -> str:
    return f"{release.restart()}   # once the certificate is renewed"


def _names(certificate: x509.Certificate, options: Options) -> Finding:
    """What people type is not known here: this machine's name, or its address, should be in it."""
    named = _alternative_names(certificate)
    host = socket.gethostname()
    expected = {host, socket.getfqdn(), options.bind}
    right = any(_covers(name, each) for name in named for each in expected)
    shown = ", ".join(named[:5]) or "no name at all"
    wrong = f"the certificate is for {shown}, not for this machine ({host})"
    cure = f"openssl x509 -in {options.tls_cert} -noout -subject -ext subjectAltName"
    return judge(right, f"the certificate is for {shown}", cure, "warning", wrong=wrong)


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return [
        *extension.value.get_values_for_type(x509.DNSName),
        *(str(address) for address in addresses),
    ]


def _covers(name: str, host: str) -> bool:
    """A certificate's name for a host's: the same, or one label behind a star."""
    if name.startswith("*."):
        return host.partition(".")[2].lower() == name[2:].lower()
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        return name.lower() == host.lower()


def _in_use(options: Options) -> Iterator[Finding]:
    """The service copied them when it started: a renewed one counts from the next start."""
    for original, copy in zip((options.tls_cert, options.tls_key), _COPIES, strict=True):
        used = system.read_bytes(paths.RUN_TLS / copy)
        if used is not None:
            wrong = f"{original} has changed since the service was started"
            right = used == Path(original).read_bytes()
            yield judge(
                right, f"{original} is the one in use", release.restart(), "warning", wrong=wrong
            )
