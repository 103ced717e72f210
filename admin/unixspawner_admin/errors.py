"""What goes wrong at an administrator's terminal, as one plain sentence."""


class AdminError(Exception):
    """The text says what happened and what to do; it is shown as it is."""


class OptionError(AdminError):
    """An option, or a combination of them, cannot be used; nothing was changed."""
