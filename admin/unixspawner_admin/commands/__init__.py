"""The subcommands of `unixspawner`: what is typed, and how the outcome is said."""
