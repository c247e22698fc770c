"""What an earlier run made and a service calls now: it stays, though no rewritten call is a site.

A call that was replaced by its entrypoint runs no command any more, so that no site asks for the
entrypoint. That it is called is what keeps it then, unmarked and with what its commands need.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Final

from privmigrate.convert.lock import Disk, LockedFile
from privmigrate.convert.operation import Fate, Outcome, Source
from privmigrate.convert.place import COMMON
from privmigrate.convert.render import names_in, take_apart
from privmigrate.convert.replaced import occurs
from privmigrate.convert.text import quote
from privmigrate.linux.capabilities import CapabilitySet

_CONTEXT: Final = re.compile(r"@(\w+)_context\.entrypoint\n")
_COMMAND: Final = re.compile(r"@command(\(.*?\))?\n(?=def )", re.DOTALL)
_CAPABILITY: Final = re.compile(r"capabilities\.(CAP_\w+)")
_UNDER: Final = re.compile(r"^    under: ([\w |]+)", re.MULTILINE)
_CLASSES: Final = re.compile(rb"\.common import (\([^)]*\)|[^\n]*)")

Needed = Mapping[str, CapabilitySet | None]


def find_called(texts: Sequence[bytes], files: Mapping[str, LockedFile]) -> frozenset[str]:
    """The entrypoints, as ``module.name``, that occur in a service's source as a call would.

    And the classes of chains, which are imported by their names.
    """
    names = {
        f"{file.removesuffix('.py')}.{record.name}"
        for file, locked in files.items()
        for record in locked.records
        if record.name
    }
    found = {name for name in names if any(occurs(name.encode(), each) for each in texts)}
    imported = {name for text in texts for each in _CLASSES.findall(text) for name in each.split()}
    found |= {f"{COMMON}.{name.decode('utf-8', 'replace').strip('(),')}" for name in imported}
    return frozenset(found & names)


@dataclass(frozen=True, slots=True)
class Called:
    """An entrypoint that only stays because it is called.

    Attributes:
        name: as ``module.name``.
        text: as it stands in the package.
        runs: the statements that name the executables it uses.
    """

    name: str
    text: str
    runs: tuple[str, ...]

    def may_run(self, candidates: Sequence[str]) -> bool:
        """Whether one of these is an executable of it."""
        return any(quote(each) in text for each in candidates for text in self.runs)


def only_called(
    disk: Disk, files: Mapping[str, LockedFile], called: frozenset[str], wanted: frozenset[str]
) -> tuple[Called, ...]:
    """The entrypoints and prefixes that are called, and that no site and no rule asks for."""
    found: list[Called] = []
    for file, locked in sorted(files.items()):
        module = file.removesuffix(".py")
        alone = {
            record.identity
            for record in locked.records
            if f"{module}.{record.name}" in called and record.identity not in wanted
        }
        text = disk.texts.get(file)
        if not alone or text is None:
            continue
        pieces = take_apart(text, f"{disk.folder}/{file}").pieces
        constants = {each.name: each.text for each in pieces if each.identity.startswith("=")}
        for piece in pieces:
            if piece.identity in alone:
                used = names_in([piece.text]) & constants.keys()
                runs = tuple(constants[name] for name in sorted(used))
                found.append(Called(f"{module}.{piece.name}", piece.text, runs))
    return tuple(found)


def needs_of(called: Sequence[Called], chains: Mapping[str, CapabilitySet]) -> Needed:
    """What the commands of these entrypoints need, by context, and the chains in front of them."""
    classes = {
        each.name.rpartition(".")[2]: CapabilitySet.parse(" ".join(_CAPABILITY.findall(each.text)))
        for each in called
        if each.name.startswith(f"{COMMON}.")
    }
    chains = {**classes, **chains}
    needed: dict[str, CapabilitySet | None] = {}
    for each in called:
        context = _CONTEXT.search(each.text)
        if context is None:
            continue
        before = needed.get(context[1], CapabilitySet())
        more = _needs(each.text)
        needed[context[1]] = None
        if more is not None and before is not None:
            under = _UNDER.search(each.text)
            names = under[1].split(" | ") if under else ()
            fronts = [chains[name] for name in names if name in chains]
            needed[context[1]] = reduce(or_, fronts, before | more)
    return needed


def explained(
    outcomes: Sequence[Outcome],
    candidates: Mapping[Source, Sequence[str]],
    called: Sequence[Called],
) -> list[Outcome]:
    """Call no rule unused whose command an entrypoint runs that is called."""
    return [_explained(each, candidates.get(each.source, ()), called) for each in outcomes]


def _explained(outcome: Outcome, candidates: Sequence[str], called: Sequence[Called]) -> Outcome:
    names = [each.name for each in called if each.may_run(candidates)]
    if outcome.fate is not Fate.UNUSED or not names:
        return outcome
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    why = f"no call runs the command itself any more, but {names[0]}{more}, which does, is called"
    return replace(outcome, fate=Fate.CALLED, why=why)


def _needs(text: str) -> CapabilitySet | None:
    decorator = _COMMAND.search(text)
    if decorator is None or decorator[1] is None:
        return None
    return CapabilitySet.parse(" ".join(_CAPABILITY.findall(decorator[1])))
