"""What the installer writes into /etc/unixspawner, read already: from the text to its tables.

The installer fills this in where it builds the programs. A file that is edited later is read with
`tomllib`, to the same effect; importing that is a fifth of a mediator's processor time.
"""

from typing import Any

TABLES: dict[bytes, dict[str, Any]] = {b"": {}}
