"""`session-limits`: run by pam_exec as root when a session begins; puts the person's limits on.

Its input is the account's name, in PAM_USER, and at most the name of a profile; everything else is
looked up. It never fails a login: what cannot be set is said in the system's log and by
`unixspawner doctor`, and the session goes on with the limits of before (docs/adr/0022, 0027).
"""

import os
import sys
import syslog

from . import config, limits, slices, system
from .config import ConfigError
from .limits import Limits, LimitsFile
from .policy import Account
from .slices import SliceError


def main() -> int:
    """0 in any case: who may log in is decided elsewhere."""
    system.open_system_log("session-limits")
    name = os.environ.get("PAM_USER", "")
    try:
        _limit(name)
    except (ConfigError, SliceError) as error:
        _complain(name, str(error))
    except Exception as error:  # the boundary: nothing that goes wrong here keeps anybody out
        _complain(name, f"fault {type(error).__name__}: {error}")
    return 0


def _limit(name: str) -> None:
    """Look up, decide, set."""
    if os.geteuid() != 0:
        raise SliceError("this must be run by root: in the PAM stack the word seteuid is missing")
    account = system.account_of(name)
    if account is None or account.uid < config.read().min_uid:
        return  # root and the services have no limits of ours
    file = limits.read()
    if not slices.systemd_runs() or file.is_empty:
        return  # the machine's own settings are nobody's business
    _set(account, limits.limits_for(file, account.name, account.groups))
    profile = slices.asked_profile()
    if profile:
        _narrow(account, profile, file)


def _set(account: Account, wanted: Limits) -> None:
    properties = limits.properties(wanted)
    slices.set_limits(account.uid, properties)
    _log(account, properties)


def _narrow(account: Account, profile: str, file: LimitsFile) -> None:
    """The session that begins, inside of what holds for all of them; in a process of its own.

    Modules after us make the session, and may put variables of the person's into PAM's environment
    that no program of root's should be started with. So we wait beside them.
    """
    if profile not in file.profiles:
        raise ConfigError(f"limits.toml has no profile {profile[:40]!r}")
    properties = limits.properties(file.profiles[profile].limits)
    sudo = os.getppid()
    if os.fork() == 0:
        os.setsid()
        slices.narrow_session(sudo, account.uid, properties)
        _log(account, {"profile": profile} | properties)


def _log(account: Account, properties: dict[str, str]) -> None:
    words = " ".join(f"{key}={value}" for key, value in sorted(properties.items()))
    system.log(syslog.LOG_INFO, f"user={account.name} {words or 'nothing'}")


def _complain(name: str, reason: str) -> None:
    system.log(syslog.LOG_ERR, f"user={name} limits are not set: {reason}")


if __name__ == "__main__":
    sys.exit(main())
