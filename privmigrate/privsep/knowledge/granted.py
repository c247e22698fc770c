"""What a filter's commands may hold behind the shim: declared, learned, known, or unknown."""

from typing import Final

from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.privsep import knowledge
from privmigrate.privsep.knowledge.declared import Declared
from privmigrate.rootwrap.settings import Settings
from privmigrate.rootwrap.words import Runs

UNKNOWN: Final = "unknown"
_RELIABLE: Final = ("verified", "documented")


def granted(
    name: str, runs: Runs, settings: Settings, declared: Declared
) -> tuple[CapabilitySet | None, str]:
    """The set of a filter of this name, None for no limit, and why it is that."""
    if settings.mode != "enforce":
        return None, f"mode = {settings.mode}"
    if not settings.restrict:
        return None, "capabilities = all"
    if name in settings.capabilities:
        return settings.capabilities[name], "[capabilities]"
    own = declared.sets.get(str(runs.words[0]).rpartition("/")[2])
    if own is not None:
        return (own if runs.run_as == "root" else NONE), f"declared in {settings.learned}"
    evidence = knowledge.lookup(runs.words, declared.learned)
    known = evidence is not None and all(row.root_status in _RELIABLE for row in evidence.rows)
    if evidence is None or not known:
        return settings.unknown, UNKNOWN
    if runs.run_as != "root":
        return NONE, f"another user's: {runs.run_as}"
    form = "any form" if evidence.general else "this form"
    status = (
        "verified" if {row.root_status for row in evidence.rows} == {"verified"} else "documented"
    )
    if not set(declared.learned.get(evidence.program, ())).isdisjoint(evidence.rows):
        status = "learned here" if status == "verified" else "learned here and documented"
    return evidence.root, f"{status}, {form} of {evidence.program}"
