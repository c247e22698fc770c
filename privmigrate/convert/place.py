"""In which module an entrypoint goes, in which context, and with which capabilities.

Modules follow the ``.filters`` files; what several files say goes to a module that they share.
Contexts follow what commands work on. What a command needs is taken, in this order, from the
person's own table and from the knowledge base; a command that neither knows goes to a context
that keeps everything and says so by its name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from privmigrate.convert.forms import command_lines
from privmigrate.convert.operation import Cat, Kill, Lit, Op, Prefix, Source
from privmigrate.convert.text import identifier
from privmigrate.linux.capabilities import NONE, Capability, CapabilitySet
from privmigrate.privsep import knowledge, natives

COMMON: Final = "common"
UNVERIFIED: Final = "unverified"
DECLARED: Final = "declared"
SINGLE: Final = "default"
OTHERS: Final = "commands"

# Few contexts, for each is a daemon: kinds of commands that are used together.
_CONTEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "files": "files",
        "filesystems": "storage",
        "network": "network",
        "process": "process",
        "services": "network",
        "storage": "storage",
        "system": "process",
        "virtualisation": "storage",
    }
)
PURPOSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "files": "Commands that work on files.",
        "storage": "Commands that work on devices, volumes and filesystems.",
        "network": "Commands that work on the network.",
        "process": "Commands that work on processes and on the system.",
        DECLARED: "Commands whose capabilities a person declared.",
        UNVERIFIED: "WIDE: nobody knows what these commands need, so nothing is taken away.",
        SINGLE: "Every command of this service.",
    }
)

# Commands that run another one, with their own needs on top.
_RUNS_ANOTHER: Final = frozenset(
    (
        "cgexec",
        "chrt",
        "ionice",
        "nice",
        "nohup",
        "prlimit",
        "setsid",
        "stdbuf",
        "taskset",
        "timeout",
    )
)
# Contexts whose commands see no network, so that no namespace makes a difference to them.
_SEE_NO_NETWORK: Final = frozenset(("files", "storage"))
# The natives' own needs: kill(2) of another user's process, and its /proc/PID/exe.
_KILL: Final = CapabilitySet.of(Capability.CAP_KILL, Capability.CAP_SYS_PTRACE)
_CAT: Final = CapabilitySet.of(Capability.CAP_DAC_READ_SEARCH)
# Another user is taken on after the fork, and leaves no capability to the command.
_OTHER_USER: Final = CapabilitySet.of(Capability.CAP_SETGID, Capability.CAP_SETUID)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an earlier run chose: names and modules do not change while the rule is there."""

    module: str
    name: str
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What commands and entrypoints need: the person's own table, and what was learned here."""

    sets: Mapping[str, CapabilitySet]
    learned: Mapping[str, tuple[knowledge.Row, ...]] = field(default_factory=dict)

    def of(self, op: Op) -> CapabilitySet | None:
        """The entrypoint's own row counts before its command's."""
        return self.sets.get(f"{op.module}.{op.name}", self.sets.get(op.command))


def modules_of(labels: Iterable[str]) -> dict[str, str]:
    """A module name for each file: ``rootwrap.d/os-brick.filters`` becomes ``os_brick``."""
    # a module and a context of one name would be one attribute of the package
    taken = {COMMON, *(f"{name}_context" for name in PURPOSES)}
    names: dict[str, str] = {}
    for label in sorted(set(labels)):
        stem = label.rpartition("/")[2].removesuffix(".filters")
        base = identifier(stem, digit="filters_", empty="filters")
        name = f"{base}_filters" if base in taken else base
        number = 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names[label] = name
    return names


def place_in_module(
    sources: Sequence[Source], modules: Mapping[str, str], recorded: Recorded | None
) -> str:
    """The module of its file, or the shared one; where it was before if that is one of these."""
    homes = {modules[source.file] for source in sources}
    if recorded is not None and recorded.module in homes | {COMMON}:
        return recorded.module
    return homes.pop() if len(homes) == 1 else COMMON


def place_in_family(op: Op, recorded: Recorded | None) -> Op:
    """The module of what the command works on; where it was before, if it was anywhere."""
    family = knowledge.family(op.command) or OTHERS
    return replace(op, module=recorded.module if recorded else family)


def place_in_context(op: Op, needs: Needs, *, single: bool) -> Op:
    """Choose context and capabilities; of several commands those that suffice for each."""
    placed = [_placed(each, needs, single=single) for each in op.by_command]
    # a command of which nothing is known decides for all
    decides = next((each for each in placed if each.capabilities is None), placed[0])
    names = {name for each in placed for name in each.capabilities or ()}
    known = CapabilitySet.parse(" ".join(names)).names
    return replace(
        op,
        capabilities=None if decides.capabilities is None else known,
        context=decides.context,
        remarks=tuple(dict.fromkeys(text for each in placed for text in each.remarks)),
    )


def _placed(op: Op, needs: Needs, *, single: bool) -> Op:
    declared = needs.of(op)
    family = knowledge.family(op.command)
    remarks: tuple[str, ...] = ()
    needed: CapabilitySet | None
    if declared is not None:
        needed, context = declared, _CONTEXTS.get(family or "", DECLARED)
    elif isinstance(op.native, Kill):
        needed, context = _KILL, "process"
    elif isinstance(op.native, Cat):
        needed, context = _CAT, "files"
    elif op.run_as != "root":
        needed, context = NONE, _CONTEXTS.get(family or "", "process")
    else:
        needed, context, remarks = _known_needs(op, family, needs)
    if needed is not None and op.natively and (native := natives.find(op.command)):
        needed |= CapabilitySet.of(*native.CAPABILITIES)
    if op.calls and "Netns" in op.prefixes and context in _SEE_NO_NETWORK:
        # these alone of their kind are run in namespaces: the context of the others does not pay
        context = "network"
    if needed is not None and op.run_as != "root":
        needed |= _OTHER_USER
    return replace(
        op,
        capabilities=None if needed is None else needed.names,
        context=SINGLE if single else context,
        remarks=(*op.remarks, *remarks),
    )


def _known_needs(
    op: Op, family: str | None, needs: Needs
) -> tuple[CapabilitySet | None, str, tuple[str, ...]]:
    """All that its command lines need."""
    needed: CapabilitySet = NONE
    context, remarks = "", dict[str, None]()
    for line in command_lines(op) or ((None,),):
        # of a word that is not fixed, nothing is known here
        words = [word if isinstance(word, str) else None for word in line]
        more, context, why = _needs_of_line(op, words, family, needs)
        if more is None:
            return None, context, why
        needed |= more
        remarks.update(dict.fromkeys(why))
    return needed, context, tuple(remarks)


def _needs_of_line(
    op: Op, words: Sequence[str | None], family: str | None, needs: Needs
) -> tuple[CapabilitySet | None, str, tuple[str, ...]]:
    evidence = knowledge.lookup([op.command, *words], needs.learned)
    if evidence and family is None and evidence.general and all(r.words for r in evidence.rows):
        why = f"{op.command} was learned with other arguments only: learn these too, or declare it"
        return None, UNVERIFIED, (why,)
    if evidence and not evidence.bounded:
        why = f"what {op.command} needs is {_why_no_set(evidence)}: declare it with --capabilities"
        return None, UNVERIFIED, (why,)
    needed = evidence.capabilities if evidence else NONE
    verified = evidence is not None and evidence.verified
    command = op.command if evidence is None else None
    if op.command in _RUNS_ANOTHER:
        # what it runs is the first fixed word that is no option; a wide one may run anything
        place = next((n for n, word in enumerate(words) if word and word[0].isalpha()), len(words))
        inner = knowledge.lookup(words[place:], needs.learned)
        if inner is None or not inner.bounded:
            command = words[place] if words[place:] else "what it runs"
        else:
            needed |= inner.capabilities
            verified = verified and inner.verified
            family = knowledge.family(words[place] or "") or family
    if command is not None:
        why = f"what {command} needs is not known: declare it with --capabilities"
        return None, UNVERIFIED, (why,)
    remarks = () if verified else ("capabilities documented, not observed",)
    # what only was learned has no family
    return needed, DECLARED if family is None else _CONTEXTS[family], remarks


def _why_no_set(evidence: knowledge.Evidence) -> str:
    row = next(row for row in evidence.rows if row.root_status in knowledge.WITHOUT_SET)
    why = "not bounded" if row.root_status == "unbounded" else "not known"
    return f"{why} ({row.source})"


def equip(prefix: Prefix, needs: Needs) -> Prefix:
    """Say what a prefix needs itself; of one that nobody knows, nothing is known to be needed."""
    declared = needs.sets.get(prefix.command)
    if declared is not None:
        return replace(prefix, capabilities=declared.names)
    words: list[str | None] = [
        word.text if isinstance(word, Lit) else None for word in prefix.words
    ]
    if prefix.namespace:
        words = ["netns", "exec", "name"]
    evidence = knowledge.lookup([prefix.command, *words], needs.learned)
    return replace(prefix, capabilities=evidence.capabilities.names if evidence else ())


def context_order(name: str) -> int:
    """Contexts are printed in the order of the table, the widest last."""
    return list(PURPOSES).index(name)
