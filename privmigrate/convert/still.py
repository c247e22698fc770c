"""What an earlier run made and a service calls now: it stays, though no rewritten call is a site.

A call that was replaced by its entrypoint runs no command any more, so that no site asks for the
entrypoint. That it is called is what keeps it then, unmarked and with what its commands need.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from privmigrate.convert.lock import Disk, LockedFile
from privmigrate.convert.render import take_apart
from privmigrate.linux.capabilities import CapabilitySet

_CONTEXT: Final = re.compile(r"@(\w+)_context\.entrypoint\n")
_COMMAND: Final = re.compile(r"@command(\(.*?\))?\n(?=def )", re.DOTALL)
_CAPABILITY: Final = re.compile(r"capabilities\.(CAP_\w+)")

_LETTER: Final = re.compile(rb"\w")
# before a module's name; `privileged_files` is how files of hacking's style name an import
_BEFORE: Final = re.compile(rb"[^\W_]")

Needed = Mapping[str, CapabilitySet | None]


def find_called(texts: Sequence[bytes], files: Mapping[str, LockedFile]) -> frozenset[str]:
    """The entrypoints, as ``module.name``, that occur in a service's source as a call would."""
    names = {
        f"{file.removesuffix('.py')}.{record.name}"
        for file, locked in files.items()
        for record in locked.records
        if record.name
    }
    return frozenset(name for name in names if any(_occurs(name.encode(), each) for each in texts))


def _occurs(name: bytes, text: bytes) -> bool:
    """Whether the dotted name is there, and not only as the part of a longer one."""
    place = text.find(name)
    while place >= 0:
        end = place + len(name)
        if not _BEFORE.match(text[place - 1 : place]) and not _LETTER.match(text[end : end + 1]):
            return True
        place = text.find(name, end)
    return False


def needs_of_called(
    disk: Disk, files: Mapping[str, LockedFile], called: frozenset[str], wanted: frozenset[str]
) -> Needed:
    """What the commands of entrypoints need that only stay because they are called, by context."""
    needed: dict[str, CapabilitySet | None] = {}
    for file, locked in files.items():
        module = file.removesuffix(".py")
        alone = {
            record.identity
            for record in locked.records
            if f"{module}.{record.name}" in called and record.identity not in wanted
        }
        text = disk.texts.get(file)
        if not alone or text is None:
            continue
        for piece in take_apart(text, f"{disk.folder}/{file}").pieces:
            context = _CONTEXT.search(piece.text)
            if piece.identity not in alone or context is None:
                continue
            before = needed.get(context[1], CapabilitySet())
            more = _needs(piece.text)
            needed[context[1]] = None if more is None or before is None else before | more
    return needed


def _needs(text: str) -> CapabilitySet | None:
    decorator = _COMMAND.search(text)
    if decorator is None or decorator[1] is None:
        return None
    return CapabilitySet.parse(" ".join(_CAPABILITY.findall(decorator[1])))
