"""Unix groups as the name service tells them now; runs in the hub."""

import grp
import os
import pwd


def is_member(user: str, group: str) -> bool:
    """Whether the account exists and is in the group, be it local, LDAP, SSSD or NIS."""
    try:
        gid = grp.getgrnam(group).gr_gid
        return gid in os.getgrouplist(user, pwd.getpwnam(user).pw_gid)
    except KeyError:
        return False
