"""What `--capabilities FILE` says of commands and of entrypoints (`knowledge.declared` reads it).

An entrypoint's row counts before its command's. What `privmigrate learn` has written into the same
file counts after both, and before the table of commands.
"""

from privmigrate.convert.place import Needs
from privmigrate.privsep.knowledge.declared import read_declared


def read_needs(path: str) -> Needs:
    """Read the table; raise InputError with file and line."""
    declared = read_declared(path)
    return Needs(declared.sets, declared.learned)
