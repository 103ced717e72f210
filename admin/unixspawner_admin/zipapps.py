"""Builds the privileged programs: single files, the same bytes each time. Pure.

Each module is there as source, for whoever reads it, and compiled, so that it loads fast. A Python
of another version passes over the compiled form.
"""

import importlib.util
import io
import marshal
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

SHEBANG = b"#!/usr/bin/python3 -IS\n"
PACKAGE = "unixspawner_mediator"
_KNOWN = f"{PACKAGE}/known.py"
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP file can express
_UNCHECKED_HASH = 1  # PEP 552: compiled for exactly this source, do not look at times
# What only `authenticate` has: password checks, and whatever looks at hashes or loads libraries.
_CHECKING = ("authenticate", "each_service", "examine", "name_service", "shadow")
# What only `session-limits` has: it is the one that changes something as root.
_LIMITING = ("session_limits", "slices")
# What it has besides: whatever looks up an account and reads root's settings.
_LOOKING_UP = (
    *("__init__", "config", "errors", "known", "limits", "paths"),
    *("policy", "protocol", "sentences", "system"),
)
_MARSHAL_WITHOUT_REFERENCES = 2  # later formats depend on reference counts, hence on chance


def known(*texts: bytes) -> bytes:
    """The module that has read these TOML files already, for the one of this name in the clone."""
    tables = {text: tomllib.loads(text.decode()) for text in texts}
    return f'"""What the installer wrote itself, read already."""\n\nTABLES = {tables!r}\n'.encode()


def mediator(source: Path, tables: bytes) -> bytes:
    """The verbs start and stop. It never loads the password checks."""
    modules = [path for path in _modules(source) if path.stem not in (*_CHECKING, *_LIMITING)]
    return _build(modules, "__main__", {_KNOWN: tables})


def authenticate(source: Path, tables: bytes, pamela: bytes) -> bytes:
    modules = [path for path in _modules(source) if path.stem not in _LIMITING]
    return _build(modules, "authenticate", {_KNOWN: tables, "pamela.py": pamela})


def session_limits(source: Path, tables: bytes) -> bytes:
    """It can start, stop and check nothing."""
    modules = [path for path in _modules(source) if path.stem in (*_LIMITING, *_LOOKING_UP)]
    return _build(modules, "session_limits", {_KNOWN: tables})


def _modules(source: Path) -> list[Path]:
    return sorted((source / PACKAGE).glob("*.py"))


def _build(modules: Iterable[Path], entry: str, made: Mapping[str, bytes]) -> bytes:
    main = f"import sys\n\nfrom {PACKAGE}.{entry} import main\n\nsys.exit(main())\n"
    contents = {f"{PACKAGE}/{path.name}": path.read_bytes() for path in modules}
    contents |= {"__main__.py": main.encode(), **made}
    buffer = io.BytesIO(SHEBANG)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, source in sorted(contents.items()):
            _add(archive, name, source)
            _add(archive, name + "c", _compile(name, source))
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 3  # Unix
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, content)


def _compile(name: str, source: bytes) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH.to_bytes(4, "little")
    body = marshal.dumps(code, _MARSHAL_WITHOUT_REFERENCES)
    return header + importlib.util.source_hash(source) + body
