"""The stages in their order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from privmigrate.callsites.site import Site
from privmigrate.convert import annotate, code
from privmigrate.convert.calls import FromCalls, from_calls
from privmigrate.convert.chain import attach
from privmigrate.convert.layout import docstring
from privmigrate.convert.lock import NAME, Disk, Lock, LockedFile, print_lock
from privmigrate.convert.lower import lower
from privmigrate.convert.merge import DOC, Choices, Note, State, Wanted, digest, merge
from privmigrate.convert.name import name_constants, name_ops, name_prefixes
from privmigrate.convert.natively import natively
from privmigrate.convert.operation import Fate, Op, Outcome, Prefix, Source
from privmigrate.convert.past import Past, recall, rule_names
from privmigrate.convert.place import (
    COMMON,
    Needs,
    context_order,
    equip,
    modules_of,
    place_in_context,
    place_in_family,
    place_in_module,
)
from privmigrate.convert.plan import Plan, uses_of
from privmigrate.convert.render import ModuleText, assemble, take_apart
from privmigrate.convert.replaced import Replaced, withdrawn
from privmigrate.convert.shadow import find_shadowed, refuse_taken
from privmigrate.convert.still import Needed, explained, needs_of, only_called
from privmigrate.convert.unify import unify, unify_prefixes
from privmigrate.convert.use import Unlinked, Use, made_by
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.rootwrap.rule import Rule, Status

_INIT = "__init__"


@dataclass(frozen=True, slots=True)
class Options:
    """What the person chose.

    Attributes:
        made_with: the options that decide what is generated, for the lock.
        called: entrypoints of an earlier run that the service calls by now.
        replaced: the calls of which these have taken the place, as far as that is known.
        local_injected: what a person says of executors that are passed in.
    """

    package: str = "privileged"
    runtime: str = "privmigrate"
    exec_dirs: tuple[str, ...] = ()
    single_context: bool = False
    needs: Needs = field(default_factory=lambda: Needs({}))
    choices: Choices = field(default_factory=Choices)
    keep_unreferenced: bool = False
    made_with: tuple[str, ...] = ()
    called: frozenset[str] = frozenset()
    replaced: tuple[Replaced, ...] = ()
    local_injected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversion:
    """Everything that came of it: what to write, and what to tell.

    `texts` has every file of the package that is ours, the lock among them, by its name; `uses` and
    `unlinked` say what becomes of every call site, and `wide` which rules allow free arguments;
    `called` names what only stays because the service calls it, and `replaced` says how many calls
    have been replaced, which count as if they were there; `withdrawn` says of which of these a
    person would not say any more what they were replaced by.
    """

    ops: tuple[Op, ...]
    prefixes: tuple[Prefix, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[Note, ...]
    texts: Mapping[str, str]
    uses: tuple[Use, ...] = ()
    unlinked: tuple[Unlinked, ...] = ()
    wide: tuple[Source, ...] = ()
    called: tuple[str, ...] = ()
    replaced: int = 0
    withdrawn: tuple[str, ...] = ()


def convert(
    rules: Sequence[Rule], options: Options, disk: Disk, sites: Sequence[Site] | None = None
) -> Conversion:
    """Convert rules whose places name files as the output shall name them.

    With call sites, what is generated is what these need of the rules.
    """
    live, outcomes = _sift(rules)
    lowered = refuse_taken(lower(rule, _source(rule)) for rule in live)
    outcomes += [each for each in lowered if isinstance(each, Outcome)]
    ops = unify(each for each in lowered if isinstance(each, Op))
    prefixes = unify_prefixes(each for each in lowered if isinstance(each, Prefix))
    wide = tuple(sorted(source for op in ops if op.rest for source in op.sources))
    unified: list[Op | Prefix] = [*ops, *prefixes]
    candidates = {source: each.candidates for each in unified for source in each.sources}
    past = recall(disk.lock, ops, prefixes)
    prefixes = name_prefixes(prefixes, past.recorded)
    prefixes = tuple(equip(prefix, options.needs) for prefix in prefixes)
    chains = {each.name: CapabilitySet.parse(" ".join(each.capabilities)) for each in prefixes}
    plans: tuple[Plan, ...] = ()
    unlinked: tuple[Unlinked, ...] = ()
    replaced: tuple[Site, ...] = ()
    if sites is None:
        modules = modules_of(rule.span.file for rule in rules)
        ops = tuple(_placed(op, modules, past) for op in attach(ops, prefixes))
    else:
        found, replaced = _from_all_calls(ops, prefixes, sites, options)
        outcomes += found.outcomes
        prefixes, plans, unlinked = found.prefixes, found.plans, found.unlinked
        past = recall(disk.lock, found.ops, prefixes)
        ops = tuple(place_in_family(op, past.recorded.get(op.key)) for op in found.ops)
        ops = tuple(natively(op) for op in ops)
    ops = name_ops(ops, past.recorded, past.taken)
    ops = tuple(place_in_context(op, options.needs, single=options.single_context) for op in ops)
    # what calls need of a file may be little: all that was read is what it was written from
    read = () if sites is None else sorted({rule.span.file for rule in rules})
    keys = frozenset([*(op.key for op in ops), *(prefix.key for prefix in prefixes)])
    still = only_called(disk, past.files, options.called, keys)
    needed = needs_of(still, chains)
    texts, notes = _write(ops, prefixes, options, disk, past, needed=needed, read=read)
    outcomes = explained(outcomes, candidates, still)
    outcomes.sort(key=lambda outcome: outcome.source)
    gone = {id(site) for site in replaced}
    plans = tuple(plan for plan in plans if id(plan.site) not in gone)
    uses, more = uses_of(plans, {op.key: op for op in ops}, options.package)
    stay = {id(each.site): each for each in (*more, *unlinked) if id(each.site) not in gone}
    return Conversion(
        ops,
        prefixes,
        tuple(outcomes),
        tuple(notes),
        texts,
        uses,
        tuple(stay.values()),
        wide,
        tuple(each.name for each in still),
        sum(map(made_by, replaced)),
        tuple(withdrawn(options.replaced, options.local_injected)),
    )


def _from_all_calls(
    rules: Sequence[Op], prefixes: Sequence[Prefix], sites: Sequence[Site], options: Options
) -> tuple[FromCalls, tuple[Site, ...]]:
    """What calls need, those that were replaced among them as long as that makes what they call.

    Where it does not, because the rules or other calls are others by now, the entrypoint that they
    call stays as it is, and they ask for nothing else.
    """
    counting = options.replaced
    while True:
        every = (*sites, *(each.site for each in counting))
        found = from_calls(rules, prefixes, every, keep_unreferenced=options.keep_unreferenced)
        keys = {id(plan.site): plan.key for plan in found.plans if plan.why is None}
        same = tuple(each for each in counting if keys.get(id(each.site)) == each.key)
        if len(same) == len(counting):
            return found, tuple(each.site for each in counting)
        counting = same


def _source(rule: Rule) -> Source:
    return Source(rule.span.file, rule.span.line, rule.raw_name)


def _sift(rules: Sequence[Rule]) -> tuple[list[Rule], list[Outcome]]:
    """Separate the rules that rootwrap never uses."""
    shadowed = find_shadowed(rules)
    live: list[Rule] = []
    outcomes: list[Outcome] = []
    for rule, why in zip(rules, shadowed, strict=True):
        source = _source(rule)
        if rule.status is Status.UNKNOWN_CLASS:
            text = f"rootwrap skips the class '{rule.filter_class}' with a warning"
            outcomes.append(Outcome(source, rule.filter_class, Fate.UNKNOWN, text))
        elif why is not None:
            outcomes.append(Outcome(source, rule.filter_class, Fate.SHADOWED, why))
        else:
            live.append(rule)
    return live, outcomes


def _placed(op: Op, modules: Mapping[str, str], past: Past) -> Op:
    recorded = past.recorded.get(op.key)
    return replace(op, module=place_in_module(op.sources, modules, recorded))


def _write(
    ops: Sequence[Op],
    prefixes: Sequence[Prefix],
    options: Options,
    disk: Disk,
    past: Past,
    *,
    needed: Needed,
    read: Sequence[str],
) -> tuple[dict[str, str], list[Note]]:
    classes = [prefix for prefix in prefixes if not prefix.namespace]
    used: dict[str, set[tuple[str, ...]]] = {}
    for op in ops:
        used.setdefault(op.module, set()).update(op.executables)
    for prefix in classes:
        used.setdefault(COMMON, set()).add(prefix.candidates)
    package = code.Package(
        options.package,
        "oslo_privsep" if options.runtime == "oslo" else annotate.RUNTIME,
        options.exec_dirs,
        name_constants(used),
        {prefix.name: prefix for prefix in prefixes},
    )
    wanted: dict[str, list[Wanted]] = {_INIT: _contexts(ops, package, needed)}
    for module in sorted({op.module for op in ops} | set(used)):
        wanted[module] = [
            Wanted(code.executable(module, candidates, package))
            for candidates in sorted(used.get(module, ()))
        ]
        wanted[module].sort(key=lambda each: each.unit.identity)
        if module == COMMON:
            wanted[module].extend(
                _remembered(prefix, code.prefix_class(prefix, package), past) for prefix in classes
            )
    for op in ops:
        wanted[op.module].append(_remembered(op, code.function(op, package), past))
    for file in past.files:
        wanted.setdefault(file.removesuffix(".py"), [])
    sources = [*(op.sources for op in ops), *(prefix.sources for prefix in prefixes)]
    files = {source.file for each in sources for source in each}
    return _texts(wanted, _docs(wanted, ops, files | set(read), read), options, disk, past)


def _remembered(each: Op | Prefix, unit: code.Unit, past: Past) -> Wanted:
    params = tuple(param.name for param in each.params)
    sources = each.sources if isinstance(each, Prefix) else each.remembered
    was = past.was.get(each.key, "")
    return Wanted(unit, each.name, params, rule_names(sources), was)


def _contexts(ops: Sequence[Op], package: code.Package, called: Needed) -> list[Wanted]:
    needed: dict[str, CapabilitySet | None] = dict(called)
    for op in ops:
        before = needed.get(op.context, CapabilitySet())
        if op.capabilities is None or before is None:
            needed[op.context] = None
            continue
        names = list(op.capabilities)
        for prefix in op.prefixes:
            names.extend(package.prefixes[prefix].capabilities)
        needed[op.context] = before | CapabilitySet.parse(" ".join(names))
    units = [Wanted(code.directories(package))]
    for name in sorted(needed, key=context_order):
        capabilities = needed[name]
        kept = None if capabilities is None else capabilities.names
        units.append(Wanted(code.context(name, kept, package)))
    return units


def _docs(
    wanted: Mapping[str, object], ops: Sequence[Op], files: set[str], read: Sequence[str]
) -> dict[str, list[str]]:
    docs: dict[str, list[str]] = {}
    for module in wanted:
        own = read or sorted(
            {source.file for op in ops if op.module == module for source in op.sources}
        )
        if module == _INIT:
            written = (
                f"Written by privmigrate from {_list(sorted(files))}. What is changed by hand "
                "stays: privmigrate.lock knows what was written."
            )
            docs[module] = [
                "Contexts of the commands that this service runs with privilege.",
                written,
            ]
        elif module == COMMON:
            docs[module] = [
                f"Commands that {_list(own)} have in common."
                if own
                else "What the commands of this package have in common."
            ]
        else:
            docs[module] = [f"Commands that {_list(own) if own else 'a rule'} allowed."]
    return docs


def _list(names: Sequence[str]) -> str:
    *others, last = names or ["no rules"]
    return f"{', '.join(others)} and {last}" if others else last


def _texts(
    wanted: Mapping[str, Sequence[Wanted]],
    docs: Mapping[str, Sequence[str]],
    options: Options,
    disk: Disk,
    past: Past,
) -> tuple[dict[str, str], list[Note]]:
    """Every file's text: as generated where the disk has what was generated, else merged."""
    texts: dict[str, str] = {}
    locked: dict[str, LockedFile] = {}
    notes: list[Note] = []
    kept: frozenset[str] = frozenset()
    # those last that kept text of the others may still use: chains, and the package's contexts
    order = {COMMON: 1, _INIT: 2}
    for module, units in sorted(wanted.items(), key=lambda item: (order.get(item[0], 0), item[0])):
        file = f"{module}.py"
        doc = "\n".join(docstring(docs[module], 0))
        known = past.files.get(file)
        text = disk.texts.get(file)
        if text is None and not units:
            continue
        records = known.records if known else ()
        apart: ModuleText | None = None
        used = kept if module in order else frozenset()
        if text is not None and not _is_plain(known, text, units, used):
            apart = take_apart(text, f"{disk.folder}/{file}")
        elif text is not None:
            # as it was written: everything that is remembered is there, and nothing else
            records = ()
        merged = merge(
            module,
            doc,
            units,
            records,
            disk=apart,
            choices=options.choices,
            used=used,
            called=options.called | {f"{COMMON}.{name}" for name in used},
        )
        texts[file] = assemble(merged.module, options.package)
        # only a file that holds nothing of a person's may be written anew without a look at it
        plain = apart is None or texts[file] == _plain_text(module, doc, units, options)
        if known is not None and texts[file] == text:
            plain = plain or known.digest == digest(text)
        locked[file] = LockedFile(digest(texts[file]) if plain else "", merged.records)
        notes.extend(merged.notes)
        kept |= merged.names
    texts[NAME] = print_lock(Lock(options.package, locked, options.made_with, options.replaced))
    return texts, notes


def _plain_text(module: str, doc: str, units: Sequence[Wanted], options: Options) -> str:
    merged = merge(module, doc, units, (), disk=None, choices=options.choices)
    return assemble(merged.module, options.package)


def _is_plain(
    known: LockedFile | None, text: str, units: Sequence[Wanted], used: frozenset[str]
) -> bool:
    """The file is as it was written, whole, and no unit of it needs a look."""
    if known is None or known.digest != digest(text):
        return False
    identities = {each.was or each.unit.identity for each in units}
    return all(
        record.state is State.GENERATED
        and (
            record.identity in identities
            or record.identity == DOC
            or (record.identity.startswith("=") and record.identity[1:] not in used)
        )
        for record in known.records
    )
