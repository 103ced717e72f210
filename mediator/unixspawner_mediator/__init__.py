"""The privileged side of unixspawner: the programs that sudo starts.

Everything here uses the standard library alone, so that it can run under `python3 -IS`
from one root-owned file. Only `authenticate` needs pamela, which is packed into its file.
"""
