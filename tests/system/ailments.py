"""What can be wrong on a machine, and what the doctor says of it.

Used by the tests of the doctor. Run by pytest as root.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.system.accounts import replaced_file, unknown
from tests.system.breakages import (
    CURRENT,
    SOCKETS,
    TOKEN,
    Break,
    another_token,
    appended,
    by,
    dead_socket,
    expired_token,
    full_disk,
    garbled_database,
    gone,
    jumped_clock,
    killed_hub,
    left_over_release,
    mode,
    new_file,
    no_current_release,
    no_inodes,
    no_node,
    not_at_boot,
    proxy_that_stands_still,
    without_the_hubs_account,
)
from tests.system.service import MEDIATOR, MEDIATOR_TOML, SUDOERS, without_hub
from tests.system.sessions import SESSION_STACK
from tests.system.squatter import squatting

LIBEXEC = "/usr/local/libexec/unixspawner"
STATE = "/var/lib/unixspawner"
EXTRA_RULE = "/etc/sudoers.d/zz_unixspawner_test"


@dataclass(frozen=True)
class Ailment:
    """How to break something, and what the doctor says; `cured` when its cure is to be run."""

    name: str
    harm: Break
    level: str
    text: str
    cure: str
    cured: bool = False


AILMENTS = [
    # accounts and groups
    Ailment(
        "no account for the hub",
        without_the_hubs_account,
        "failure",
        "there is no account jupyterhub",
        "INSTALL",
    ),
    Ailment(
        "a system account with a shell",
        by(
            *("usermod", "-s", "/bin/bash", "jupyterhub-pam"),
            undo=("usermod", "-s", "/usr/sbin/nologin", "jupyterhub-pam"),
        ),
        "failure",
        "account jupyterhub-pam has uid … and the shell /bin/bash",
        "usermod -s /usr/sbin/nologin jupyterhub-pam",
        cured=True,
    ),
    Ailment(
        "an administrator who is no member",
        by(
            *("usermod", "-aG", "jupyterhub-admins", "mallory"),
            undo=("gpasswd", "-d", "mallory", "jupyterhub-admins"),
        ),
        "warning",
        "mallory is in jupyterhub-admins but not in jupyterhub-users, and so cannot sign in",
        "usermod -aG jupyterhub-users mallory",
    ),
    Ailment(
        "a hub that may read the hashes",
        by(
            *("usermod", "-aG", "shadow", "jupyterhub"),
            undo=("sh", "-c", "gpasswd -d jupyterhub shadow || :"),
        ),
        "failure",
        "account jupyterhub is in the group shadow, too much for a hub",
        "gpasswd -d jupyterhub shadow",
        cured=True,
    ),
    Ailment(
        "a checking account that may not",
        by(
            *("gpasswd", "-d", "jupyterhub-pam", "shadow"),
            undo=("usermod", "-aG", "shadow", "jupyterhub-pam"),
        ),
        "failure",
        "account jupyterhub-pam is not in the group shadow: nobody can sign in",
        "usermod -aG shadow jupyterhub-pam",
        cured=True,
    ),
    Ailment(
        "a hub's account that has expired",
        by("chage", "-E", "0", "jupyterhub", undo=("chage", "-E", "-1", "jupyterhub")),
        "warning",
        "account jupyterhub has expired, and sudo may refuse it",
        "chage -E -1 jupyterhub",
        cured=True,
    ),
    Ailment(
        "no checking account",
        lambda host: unknown(host, "jupyterhub-pam"),
        "failure",
        "there is no account jupyterhub-pam",
        "INSTALL",
    ),
    # owners and modes
    Ailment(
        "a mediator that everybody can write",
        mode(MEDIATOR, "0777", "0755"),
        "failure",
        f"{MEDIATOR} is a file of root with mode 0777, and should be root's with 0755",
        f"chown -h root {MEDIATOR} && chmod 0755 {MEDIATOR}",
        cured=True,
    ),
    Ailment(
        "a launcher of somebody else",
        by(*("chown", "bob", f"{LIBEXEC}/server"), undo=("chown", "root", f"{LIBEXEC}/server")),
        "failure",
        f"{LIBEXEC}/server is a file of bob with mode 0755, and should be root's with 0755",
        f"chown -h root {LIBEXEC}/server && chmod 0755 {LIBEXEC}/server",
        cured=True,
    ),
    Ailment(
        "state that others may enter",
        mode(STATE, "0755", "0700"),
        "failure",
        f"{STATE} is a directory of jupyterhub with mode 0755, "
        "and should be jupyterhub's with 0700",
        f"chown -h jupyterhub {STATE} && chmod 0700 {STATE}",
        cured=True,
    ),
    Ailment(
        "a token that others may read",
        mode(TOKEN, "0644", "0600"),
        "failure",
        f"{TOKEN} is a file of jupyterhub with mode 0644, and should be jupyterhub's with 0600",
        f"chown -h jupyterhub {TOKEN} && chmod 0600 {TOKEN}",
        cured=True,
    ),
    Ailment(
        "a directory above that others can write",
        mode("/usr/local/libexec", "0777", "0755"),
        "failure",
        "/usr/local/libexec, where ours are, can be written by others than root",
        "chown root /usr/local/libexec && chmod go-w /usr/local/libexec",
        cured=True,
    ),
    Ailment(
        "an application's file that others can write",
        mode("/etc/unixspawner/apps.d/demo.toml", "0666", "0644"),
        "failure",
        "others than root can write /etc/unixspawner/apps.d/demo.toml",
        "chown root /etc/unixspawner/apps.d/demo.toml && "
        "chmod go-w /etc/unixspawner/apps.d/demo.toml",
        cured=True,
    ),
    Ailment(
        "a mediator.toml with a mistake",
        appended(MEDIATOR_TOML, "surprise = 1"),
        "failure",
        "unknown settings: ['surprise'], missing: []",
        "editor /etc/unixspawner/mediator.toml   # docs/administrators.md has all settings",
    ),
    Ailment(
        "a mediator.toml for another hub",
        lambda host: replaced_file(
            host, MEDIATOR_TOML, host.run("sed", "s/jupyterhub-users/lab/", MEDIATOR_TOML).out
        ),
        "failure",
        "mediator.toml names jupyterhub and lab, the installer jupyterhub and jupyterhub-users",
        "editor /etc/unixspawner/mediator.toml   # docs/administrators.md has all settings",
    ),
    Ailment(
        "a newer configuration beside an edited one",
        new_file("/etc/unixspawner/mediator.toml.new"),
        "warning",
        "/etc/unixspawner/mediator.toml is your own, and ours has changed: take over what you "
        "want, then remove it",
        "diff -u /etc/unixspawner/mediator.toml /etc/unixspawner/mediator.toml.new; "
        "rm -i /etc/unixspawner/mediator.toml.new",
    ),
    # PAM
    Ailment(
        "no PAM service for sessions",
        gone(SESSION_STACK),
        "failure",
        f"there is no PAM service {SESSION_STACK}",
        "INSTALL",
    ),
    Ailment(
        "a PAM service that others can write",
        mode("/etc/pam.d/unixspawner", "0666", "0644"),
        "failure",
        "PAM service /etc/pam.d/unixspawner can be written by others than root",
        "chown root /etc/pam.d/unixspawner && chmod go-w /etc/pam.d/unixspawner",
        cured=True,
    ),
    Ailment(
        "a PAM module that is not here",
        appended(SESSION_STACK, "session optional pam_of_nobody.so"),
        "failure",
        f"{SESSION_STACK} names pam_of_nobody.so, which is not on this machine",
        f"editor {SESSION_STACK}   # or install the package that has it",
    ),
    # sudo
    Ailment(
        "no rules for sudo",
        gone(SUDOERS),
        "failure",
        "jupyterhub cannot have passwords checked by jupyterhub-pam",
        "SUDO",
    ),
    Ailment(
        "a fourth rule",
        new_file(EXTRA_RULE, "jupyterhub ALL=(root) NOPASSWD: /bin/sh\n", "0440"),
        "failure",
        "jupyterhub can run a shell as root",
        "SUDO",
    ),
    Ailment(
        "a fourth rule, as sudo lists it",
        new_file(EXTRA_RULE, "jupyterhub ALL=(root) NOPASSWD: /bin/sh\n", "0440"),
        "failure",
        "sudo does not allow jupyterhub just its three rules: besides: (root) NOPASSWD: /bin/sh",
        "SUDO",
    ),
    Ailment(
        "a rule for another machine alone",
        lambda host: replaced_file(
            host,
            SUDOERS,
            host.run("sed", "s/^jupyterhub ALL=(ALL/jupyterhub web=(ALL/", SUDOERS).out,
        ),
        "failure",
        f"the rules in {SUDOERS} are for ALL, web, not for every host",
        "SUDO",
    ),
    Ailment(
        "a setting that a later file takes back",
        new_file(EXTRA_RULE, "Defaults:jupyterhub use_pty\n", "0440"),
        "failure",
        "these settings of sudo are not in effect for jupyterhub: !use_pty",
        "SUDO",
    ),
    Ailment(
        "a broken file in sudoers.d",
        new_file(EXTRA_RULE, "this is no rule\n", "0440"),
        "failure",
        "sudo does not accept its rules: …",
        "/usr/sbin/visudo -c",
    ),
    Ailment(
        "an authenticate that does not run",
        mode(f"{LIBEXEC}/authenticate", "0644", "0755"),
        "failure",
        f"{LIBEXEC}/authenticate does not run: …",
        "INSTALL",
    ),
    # service, sockets, hub, proxy
    Ailment(
        "no service",
        without_hub,
        "failure",
        "service unixspawner does not run",
        "RESTART",
    ),
    Ailment(
        "no answer",
        without_hub,
        "failure",
        "the service does not answer at {url}",
        "LOG",
    ),
    Ailment(
        "another program at the public address",
        squatting,
        "failure",
        "another program (of uid …) has port {port} on 127.0.0.1",
        "PORT",
    ),
    Ailment(
        "a database that is none",
        garbled_database,
        "failure",
        "the hub's database cannot be read: …",
        "ls -l /var/lib/unixspawner   # put a backup of jupyterhub.sqlite back, as its owner",
    ),
    Ailment(
        "a service that does not start at boot",
        not_at_boot,
        "warning",
        "service unixspawner does not start at boot",
        "INSTALL",
    ),
    Ailment(
        "a runtime directory that everybody may enter",
        mode("/run/unixspawner", "0755", "0710"),
        "failure",
        "not so: /run/unixspawner lets only members of jupyterhub-users pass",
        "chown jupyterhub:jupyterhub-users /run/unixspawner && chmod 0710 /run/unixspawner",
        cured=True,
    ),
    Ailment(
        "a proxy that takes orders from everybody",
        mode("/run/unixspawner/proxy-api.sock", "0777", "0700"),
        "failure",
        "/run/unixspawner/proxy-api.sock has mode 0777, and should have 0700 and belong to "
        "jupyterhub",
        "chown jupyterhub /run/unixspawner/proxy-api.sock && "
        "chmod 0700 /run/unixspawner/proxy-api.sock",
        cured=True,
    ),
    Ailment(
        "a hub's socket that is gone",
        by(
            *("mv", "/run/unixspawner/hub.sock", "/run/unixspawner/away"),
            undo=("mv", "/run/unixspawner/away", "/run/unixspawner/hub.sock"),
        ),
        "failure",
        "nobody listens at /run/unixspawner/hub.sock: [Errno 2] No such file or directory",
        "RESTART",
    ),
    Ailment(
        "a socket without a server",
        dead_socket,
        "warning",
        f"1 file in {SOCKETS} belongs to no process any more",
        f"rm -- {SOCKETS}/{'0' * 32}.sock",
        cured=True,
    ),
    Ailment(
        "a token that is not the hub's",
        another_token,
        "failure",
        "the hub does not answer this command: The hub does not accept the token of this "
        "command: restart the service.",
        "RESTART",
    ),
    Ailment(
        "an addition that others can write",
        new_file("/etc/unixspawner/jupyterhub_config.d/50-test.py", mode="0666"),
        "failure",
        "/etc/unixspawner/jupyterhub_config.d/50-test.py can be written by others than root: "
        "the hub will not start",
        "chown root /etc/unixspawner/jupyterhub_config.d/50-test.py && "
        "chmod go-w /etc/unixspawner/jupyterhub_config.d/50-test.py",
        cured=True,
    ),
    Ailment(
        "a server's token that has expired",
        expired_token,
        "warning",
        "the tokens of 1 server have expired: was the clock wrong?",
        "unixspawner status   # then stop those servers: unixspawner stop NAME",
    ),
    Ailment(
        "a proxy of a hub that was killed",
        killed_hub,
        "warning",
        "a proxy runs without a hub, and the next hub takes it over: process …",
        "RESTART",
    ),
    Ailment(
        "a proxy that stands still",
        proxy_that_stands_still,
        "failure",
        "the proxy does not answer: pages do not come",
        "RESTART",
        cured=True,
    ),
    # disk, clock, releases
    Ailment(
        "a full disk",
        full_disk,
        "failure",
        "the disk is full: 1.0 MB of 8.0 MB free for /var/log/unixspawner",
        "du -xh --max-depth=2 /var/log/unixspawner | sort -h | tail",
    ),
    Ailment(
        "a disk without inodes",
        no_inodes,
        "warning",
        "… of 2000 inodes free for /var/log/unixspawner",
        "du --inodes -x --max-depth=2 /var/log/unixspawner | sort -n | tail",
    ),
    Ailment(
        "a clock that has jumped",
        jumped_clock,
        "warning",
        "the clock has jumped by … seconds since the hub was started",
        "RESTART",
    ),
    Ailment(
        "no Node",
        no_node,
        "failure",
        "Node is …, and 20 or later is needed",
        "INSTALL",
    ),
    Ailment(
        "a current release that is none",
        no_current_release,
        "failure",
        f"{CURRENT} leads to no complete release",
        "./install   # in the clone",
    ),
    Ailment(
        "a release from which nothing runs",
        left_over_release,
        "warning",
        "/opt/unixspawner/releases/0.0.1-00000000 is left over: nothing runs from it",
        "rm -r /opt/unixspawner/releases/0.0.1-00000000",
        cured=True,
    ),
]
