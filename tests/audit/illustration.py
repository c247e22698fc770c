"""Evidence out of the source of an example: what it is shows in how it begins.

``[Filters]`` begins a filters file, ``[DEFAULT]`` a rootwrap.conf, a mode such as ``drwxr-xr-x``
the listing of a machine, an import, a decorator or a comment with Python's words a Python module;
everything else is a sudoers file.
"""

import re
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.gather import gather
from privmigrate.audit.listing import ListedTree

_MODE: Final = re.compile(r"[-dl][rwxsStT-]{9} ")
_PYTHON: Final = re.compile(r"(from|import|@|def|class)\b", re.MULTILINE)


def place_of(source: str) -> str:
    """Where the source would stand in a machine; "/" if it is one."""
    first = source.lstrip().split("\n", 1)[0]
    if _MODE.match(first):
        return "/"
    if first == "[Filters]":
        return "/example.filters"
    if first == "[DEFAULT]":
        return "/etc/example/rootwrap.conf"
    if _PYTHON.match(source):
        return "/example.py"
    return "/etc/sudoers"


def illustrate(source: str) -> Evidence:
    """Gather the evidence that an example shows."""
    place = place_of(source)
    if place == "/":
        tree = ListedTree(source)
    else:
        body = "".join(f"    {line}\n" for line in source.splitlines())
        tree = ListedTree(f"-rw-r--r-- root root {place}\n{body}")
    return gather(tree, (place,), trust=place == "/")
