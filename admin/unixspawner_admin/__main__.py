"""`python -m unixspawner_admin`: what /usr/local/bin/unixspawner runs."""

from .cli import main

main(prog_name="unixspawner")
