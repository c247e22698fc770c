"""What each filter's commands may hold, and why: declared, learned, known, or unknown."""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.linux.capabilities import NONE, CapabilitySet, every
from privmigrate.privsep import knowledge
from privmigrate.privsep.knowledge.declared import Declared
from privmigrate.rootwrap.config import RootwrapConfig
from privmigrate.rootwrap.rule import Rule
from privmigrate.shim import trust
from privmigrate.shim.patterns import is_word
from privmigrate.shim.settings import Settings

KINDS: Final = {
    "CommandFilter": "C",
    "RegExpFilter": "R",
    "PathFilter": "P",
    "KillFilter": "K",
    "ReadFileFilter": "F",
    "IpFilter": "I",
    "EnvFilter": "E",
    "ChainingFilter": "H",
    "IpNetnsExecFilter": "N",
    "ChainingRegExpFilter": "G",
}
_UNANSWERABLE: Final = "S"  # asking oslo.rootwrap's object of it raises: the policy says how
_RELIABLE: Final = ("verified", "documented")
_FILE_CAPABILITIES: Final = "security.capability"
_VFS_CAP_DATA: Final = struct.Struct("<5I")  # magic, permitted and inheritable: low, then high


@dataclass(frozen=True, slots=True)
class Planned:
    """A filter as the index holds it; `capabilities` is None for all that there are."""

    rule: Rule
    kind: str
    exec_path: str
    run_as: str
    args: tuple[str, ...]
    capabilities: CapabilitySet | None
    source: str
    setuid: bool
    execution: str
    why_not: str


@dataclass(frozen=True, slots=True)
class Given:
    """What a plan is made from besides the rule."""

    settings: Settings
    config: RootwrapConfig
    accepted: Sequence[str]
    declared: Declared


def make(rule: Rule, given: Given) -> Planned:
    """Plan one live rule."""
    settings, config, accepted = given.settings, given.config, given.accepted
    kind = KINDS[rule.filter_class]
    texts = rule.texts
    match kind:
        case "K":
            exec_path, run_as, args = "/bin/kill", texts[0], texts[1:]
            kind = kind if args else _UNANSWERABLE
        case "F":
            exec_path, run_as, args = "/bin/cat", "root", texts[:1]
        case _:
            exec_path, run_as, args = texts[0], texts[1], texts[2:]
    if kind == "E":
        exec_path = _behind_environment(exec_path, args)
    words = _words(kind, exec_path, args)
    capabilities, source = _capabilities(rule, run_as, words, given)
    if capabilities is not None:
        capabilities |= _file_capabilities(exec_path, config.exec_dirs)
    if capabilities is not None and every() <= capabilities:
        capabilities = None
    execution = settings.executions.get(rule.name, settings.execution)
    if settings.mode == "learn":
        execution = "child"  # who watches has to be there at the end
    why_not = None
    if exec_path.startswith("/") and run_as == "root" and os.geteuid() == 0:
        why_not = trust.why_not(os.path.dirname(exec_path), accepted)  # noqa: PTH120 - a text
    return Planned(
        rule,
        kind,
        exec_path,
        run_as,
        args,
        capabilities,
        source,
        settings.setuid_programs,
        execution,
        why_not or "",
    )


def _behind_environment(exec_path: str, args: tuple[str, ...]) -> str:
    """As EnvFilter.__init__; names that stand twice count once there."""
    names = set()
    for word in args:
        if "=" not in word:
            break
        names.add(word.partition("=")[0])
    return args[len(names)] if "env" in exec_path and len(names) < len(args) else exec_path


def _words(kind: str, exec_path: str, args: tuple[str, ...]) -> tuple[str | None, ...]:
    """The command line as far as the filter says it; None may be anything."""
    match kind:
        case "R" | "G":
            return (exec_path, *(word if is_word(word) else None for word in args[1:]))
        case "P":
            return (exec_path, *(None for _ in args))
        case "F":
            return (exec_path, args[0])
        case "N":
            return (exec_path, "netns", "exec", None)
        case _:
            return (exec_path,)


def _capabilities(
    rule: Rule, run_as: str, words: tuple[str | None, ...], given: Given
) -> tuple[CapabilitySet | None, str]:
    settings = given.settings
    if settings.mode != "enforce":
        return None, f"mode = {settings.mode}"
    if not settings.restrict:
        return None, "capabilities = all"
    if rule.name in settings.capabilities:
        return settings.capabilities[rule.name], "[capabilities]"
    own = given.declared.sets.get(str(words[0]).rpartition("/")[2])
    if own is not None:
        return (own if run_as == "root" else NONE), f"declared in {settings.learned}"
    evidence = knowledge.lookup(words, given.declared.learned)
    known = evidence is not None and all(row.root_status in _RELIABLE for row in evidence.rows)
    if evidence is None or not known:
        return settings.unknown, "unknown"
    if run_as != "root":
        return NONE, f"another user's: {run_as}"
    form = "any form" if evidence.general else "this form"
    status = (
        "verified" if {row.root_status for row in evidence.rows} == {"verified"} else "documented"
    )
    if not set(given.declared.learned.get(evidence.program, ())).isdisjoint(evidence.rows):
        status = "learned here" if status == "verified" else "learned here and documented"
    return evidence.root, f"{status}, {form} of {evidence.program}"


def _file_capabilities(exec_path: str, exec_dirs: Sequence[str]) -> CapabilitySet:
    """What the program's file would give: without it in the bounding set, exec fails with EPERM."""
    for folder in exec_dirs if not exec_path.startswith("/") else ("",):
        path = os.path.join(folder, exec_path)  # noqa: PTH118 - a text
        try:
            data = os.getxattr(path, _FILE_CAPABILITIES)
        except FileNotFoundError:
            continue
        except OSError:
            return NONE
        if len(data) < _VFS_CAP_DATA.size:
            return NONE
        _, low, _, high, _ = _VFS_CAP_DATA.unpack(data[: _VFS_CAP_DATA.size])
        return CapabilitySet(low | high << 32)
    return NONE
