"""The releases: the current one complete, older ones only as long as somebody runs from them."""

from collections.abc import Iterator

from .. import paths, release, wording
from ..findings import Finding, judge
from ..options import Options


def check(_options: Options) -> Iterator[Finding]:
    current = release.current()
    complete = current is not None and release.is_complete(current)
    wrong = f"{paths.CURRENT} leads to no complete release"
    yield judge(complete, "the current release is complete", release.installer(), wrong=wrong)
    if current is None:
        return
    unused = release.unused(current)
    others = [path for path in sorted(paths.RELEASES.iterdir()) if path not in (current, *unused)]
    if others:
        text = f"{wording.count(len(others), 'older release')} in use by servers until these end"
        yield Finding("ok", text)
    for path in unused:
        yield Finding("warning", f"{path} is left over: nothing runs from it", f"rm -r {path}")
