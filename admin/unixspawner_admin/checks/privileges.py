"""What the hub's account can become: as sudo reads its rules, and as sudo answers when it is asked.

The forms are asked with `sudo -l`, as the hub's account; only the one that checks passwords is also
run, without a request, so that nothing comes of it but one line in the system's log.
"""

import pwd
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from .. import accounts, paths, release, sudo, system
from ..findings import Finding, judge
from ..options import Options

_MEDIATOR = str(paths.LIBEXEC / "mediator")
_AUTHENTICATE = str(paths.LIBEXEC / "authenticate")
_NEEDED = ("env_reset", "!env_keep", "!env_check", "!use_pty")
_NEEDED_CLASSIC = ("pam_service=unixspawner-session", "!requiretty", "!log_input", "!log_output")


@dataclass(frozen=True)
class _Form:
    """One way to call sudo, and whether the hub may."""

    allowed: bool
    text: str
    words: tuple[str, ...]


def check(options: Options) -> Iterator[Finding]:
    if shutil.which("sudo", path=system.SAFE_PATH) is None:
        yield Finding("failure", "sudo is not installed", "apt-get install sudo")
        return
    status, output = system.try_run([sudo.VISUDO, "-c", "-q"])
    wrong = f"sudo does not accept its rules: {' '.join(output.split())[:300]}"
    yield judge(status == 0, "sudo accepts all of its rules", f"{sudo.VISUDO} -c", wrong=wrong)
    yield from _rules(options)
    if system.uid_of(options.hub_account) is not None:
        yield from _forms(options)


def _rules(options: Options) -> Iterator[Finding]:
    hub = options.hub_account
    status, said = system.try_run([paths.SUDO, "-l", "-U", hub])
    output = sudo.without_complaints(said)
    listed = sudo.listed_rules(output)
    is_rs = sudo.is_sudo_rs()
    expected = sudo.expected_rules(options, accounts.checking_account(options), is_rs)
    right = status == 0 and listed == expected
    yield judge(
        right,
        f"sudo allows {hub} its three rules and no other",
        _cure(hub),
        wrong=f"sudo does not allow {hub} just its three rules: {_difference(expected, listed)}",
    )
    text = system.read_text(paths.SUDOERS) or ""
    hosts = sorted(set(sudo.hosts_of_rules(text, hub)))
    wrong = (
        f"the rules in {paths.SUDOERS} are for {', '.join(hosts) or 'no host'}, not for every host"
    )
    yield judge(hosts == ["ALL"], "the rules hold for every host", _cure(hub), wrong=wrong)
    if not is_rs:
        needed = (*_NEEDED, *_NEEDED_CLASSIC)
        missing = [each for each in needed if not sudo.is_in_effect(each, output)]
        wrong = f"these settings of sudo are not in effect for {hub}: {' '.join(missing)}"
        yield judge(
            not missing, f"sudo's settings for {hub} are in effect", _cure(hub), wrong=wrong
        )


def _cure(hub: str) -> str:
    return f"grep -rn {hub} /etc/sudoers /etc/sudoers.d; {release.installer()}"


def _difference(expected: list[str], listed: list[str]) -> str:
    missing = [f"missing: {rule}" for rule in expected if rule not in listed]
    more = [f"besides: {rule}" for rule in listed if rule not in expected]
    return "; ".join([*missing, *more]) or "in another order"


def _forms(options: Options) -> Iterator[Finding]:
    """Really asked; a refusal that comes for another reason than the rules cannot be told apart."""
    hub = options.hub_account
    for form in _all_forms(options):
        command = [paths.SUDO, "-n", "-l", *form.words]
        allowed = system.try_run(command, account=hub)[0] == 0
        can, may = ("can" if form.allowed else "cannot"), ("can" if allowed else "cannot")
        cure = _cure(hub)
        wrong = f"{hub} {may} {form.text}"
        yield judge(allowed == form.allowed, f"{hub} {can} {form.text}", cure, wrong=wrong)
    yield _run_authenticate(options)


def _all_forms(options: Options) -> Iterator[_Form]:
    checking = accounts.checking_account(options)
    if person := _somebody(options, is_member=True):
        yield _Form(
            True, f"start a server as a member ({person})", ("-u", person, _MEDIATOR, "start")
        )
        yield _Form(False, f"run a shell as a member ({person})", ("-u", person, "/bin/sh"))
    if other := _somebody(options, is_member=False):
        yield _Form(
            False, f"start a server as somebody else ({other})", ("-u", other, _MEDIATOR, "start")
        )
        yield _Form(
            True, f"stop a server of somebody else ({other})", ("-u", other, _MEDIATOR, "stop")
        )
    yield _Form(True, f"have passwords checked by {checking}", ("-u", checking, _AUTHENTICATE))
    yield _Form(False, f"run a shell as {checking}", ("-u", checking, "/bin/sh"))
    yield _Form(False, "start a server as root", ("-u", "root", _MEDIATOR, "start"))
    yield _Form(False, "stop a server as root", ("-u", "root", _MEDIATOR, "stop"))
    yield _Form(False, "run a shell as root", ("/bin/sh",))


def _somebody(options: Options, *, is_member: bool) -> str:
    """A name to try: the first member who is a person, or the first who is not a member."""
    members = system.members(options.users_group)
    if is_member:
        people = (name for name in members if (system.uid_of(name) or 0) >= accounts.FIRST_PERSON)
        return next(people, "")
    ours = accounts.system_accounts(options)
    others = (e.pw_name for e in pwd.getpwall() if e.pw_uid != 0 and e.pw_name not in ours)
    return next((name for name in others if name not in members), "")


def _run_authenticate(options: Options) -> Finding:
    """It says that it was not asked as it should be: so sudo, Python and the program work."""
    account = accounts.checking_account(options)
    command = [paths.SUDO, "-n", "-u", account, _AUTHENTICATE]
    output = system.try_run(command, account=options.hub_account)[1]
    wrong = f"{_AUTHENTICATE} does not run: {' '.join(output.split())[:300]}"
    ran = "unixspawner: authenticate caller=" in output
    return judge(ran, f"{_AUTHENTICATE} runs as {account}", release.installer(), wrong=wrong)
