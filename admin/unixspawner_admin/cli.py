"""The command `unixspawner`: what an administrator types once the machine is installed."""

import click

from .commands.doctor import doctor
from .commands.drain import drain
from .commands.logs import logs
from .commands.status import status
from .commands.stop import stop
from .commands.uninstall import uninstall
from .commands.users import users
from .errors import AdminError


class _Group(click.Group):
    """Shows an AdminError as the sentence that it is, and the commands in our order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AdminError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """JupyterHub for Unix accounts: look after this machine's service.

    Day to day: status, users, logs. Before work on the machine: drain, stop. When something is
    wrong: doctor. All of it is in unixspawner(8).
    """


for command in (status, users, logs, doctor, drain, stop, uninstall):
    main.add_command(command)
