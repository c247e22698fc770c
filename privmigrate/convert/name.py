"""What entrypoints, parameters and prefix classes are called.

Names come from the text of the filters, are unique in their module, and hide neither keyword nor
builtin nor anything that generated modules import. What an earlier run chose is kept.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from privmigrate.convert import vocabulary
from privmigrate.convert.listing import GIVEN, WORDS
from privmigrate.convert.name_calls import names_of_call
from privmigrate.convert.operation import Kill, Kind, Lit, Op, Param, Prefix, Source, program_family
from privmigrate.convert.place import PURPOSES, Recorded
from privmigrate.convert.text import class_name, constant_name, identifier

# What generated modules import or define under a lower-case name.
_IMPORTED: Final = frozenset(
    (
        "capabilities",
        "command",
        "environment",
        "hole",
        "line",
        "natives",
        "optional",
        "priv_context",
        "repeated",
        "run",
    )
) | frozenset(f"{name}_context" for name in PURPOSES)
# What a parameter may not hide in its function's body, and what every command has.
_IN_BODIES: Final = frozenset(
    ("args", "capabilities", "command", "environment", "natives", "run", "stdin", "under")
)
# What the runtime calls its own classes.
_CLASSES: Final = frozenset(
    (
        "AbsolutePath", "Annotated", "Any", "Argument", "Choice", "CommandLines", "Const", "Digits",
        "EnvValue",
        "ExecResult", "Executable", "Int", "Key", "Literal", "Matches", "NamedTuple", "Netns",
        "Never", "Operand", "Output", "PathWithin", "Pid", "Prefix", "Stdin", "Word", "Words",
    )
)  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_LONG_FLAG: Final = re.compile(r"--([A-Za-z][A-Za-z0-9-]+)\Z")
_MOST_WORDS: Final = 3


def name_prefixes(
    prefixes: Sequence[Prefix], recorded: Mapping[str, Recorded]
) -> tuple[Prefix, ...]:
    """Name the classes of chains; entering a namespace has its class in the runtime."""
    taken = set(_CLASSES) | {
        recorded[prefix.key].name for prefix in prefixes if prefix.key in recorded
    }
    named = []
    for prefix in prefixes:
        if prefix.namespace:
            named.append(replace(prefix, name="Netns"))
            continue
        known = recorded.get(prefix.key)
        name = known.name if known else _free(_class_names(prefix, prefixes), taken)
        taken.add(name)
        named.append(replace(prefix, name=name, params=_name_params(prefix.params, known)))
    return tuple(named)


def _class_names(prefix: Prefix, prefixes: Sequence[Prefix]) -> Iterator[str]:
    base = class_name(prefix.command)
    if sum(each.command == prefix.command for each in prefixes) == 1:
        yield base
    for source in prefix.sources:
        yield class_name(_own_name(source.name, prefix.command) or source.name)
    yield f"{base}Prefix"
    yield from (f"{base}{number}" for number in range(2, len(prefixes) + 3))


def name_ops(
    ops: Sequence[Op], recorded: Mapping[str, Recorded], kept: Iterable[tuple[str, str]]
) -> tuple[Op, ...]:
    """Name operations and their parameters; `kept` are (module, name) that are taken for ever."""
    taken: dict[str, set[str]] = {}
    for module, name in kept:
        taken.setdefault(module, set(_IMPORTED)).add(name)
    for op in ops:
        known = recorded.get(op.key)
        if known and known.module == op.module:
            taken.setdefault(op.module, set(_IMPORTED)).add(known.name)
    names: dict[int, str] = {}
    for number, op in sorted(enumerate(ops), key=lambda item: _claim(item[1])):
        known = recorded.get(op.key)
        if known and known.module == op.module:
            names[number] = known.name
            continue
        used = taken.setdefault(op.module, set(_IMPORTED))
        names[number] = _free(_names(op), used)
        used.add(names[number])
    return tuple(
        replace(
            op,
            name=names[number],
            params=_name_params(op.params, recorded.get(op.key), _taken_in(op)),
        )
        for number, op in enumerate(ops)
    )


def _claim(op: Op) -> tuple[bool, bool, tuple[object, ...]]:
    """Who gets a name first: what is narrow, then what is plainly the command, then rules' own."""
    wide = op.rest is not None
    if op.calls:
        names = op.environment.combinations if op.environment else ()
        order = (len(str(names)), repr(op.words), repr(op.templates), op.key)
        return wide, bool(op.templates), (1, *order)
    return wide, op.environment is not None, (0, *op.sources)


def _free(names: Iterable[str], taken: set[str]) -> str:
    return next(name for name in names if name not in taken)


def _names(op: Op) -> Iterator[str]:
    """Names for an operation, best first, without end."""
    base = _base_name(op)
    if op.calls and op.rest is None:
        yield from names_of_call(op)
    yield base
    if op.environment:
        yield f"{base}_env"
    if op.run_as != "root":
        yield identifier(f"{base}_as_{op.run_as}")
    for source in op.sources:
        yield identifier(source.name)
    more = [word for word in _telling_words(op, every=True) if word not in base.split("_")]
    for count in range(1, min(len(more), _MOST_WORDS) + 1):
        yield identifier("_".join((base, *more[:count])))
    if op.rest:
        yield f"{base}_any"
    elif base in _IMPORTED:
        yield f"{base}_command"
    number = 2
    while True:
        yield f"{base}_{number}"
        number += 1


def _base_name(op: Op) -> str:
    if isinstance(op.native, Kill):
        return _kill_name(op.sources, op.native.programs[0])
    if op.rest is None:
        for source in op.sources:
            if own := _own_name(source.name, op.command):
                return own
    words = () if op.rest else _telling_words(op, every=False)
    return identifier("_".join((op.command, *list(words)[:_MOST_WORDS])))


def _kill_name(sources: Sequence[Source], program: str) -> str:
    """The rules' name if they agree on one, else that of the program."""
    names = {_own_name(source.name, "kill") for source in sources}
    if len(names) > 1:
        names = {identifier(_without_noise(name or "").rstrip("_0123456789")) for name in names}
    name = names.pop() if len(names) == 1 else None
    return name or identifier(f"kill_{program_family(program)}")


def _own_name(rule: str, command: str) -> str | None:
    """The rule's name, if it says more than the command's."""
    name = _without_noise(rule)
    plain = {identifier(command).strip("_"), identifier(command).rstrip("_0123456789")}
    if name.rstrip("_0123456789") in plain or name.strip("_") in plain or not name:
        return None
    return identifier(rule)


def _without_noise(rule: str) -> str:
    name = identifier(rule)
    for noise in vocabulary.NAME_NOISE:
        name = name.removesuffix(noise)
    return name


def _telling_words(op: Op, *, every: bool) -> Iterator[str]:
    """The fixed words that say what is done; with `every`, also those that name a value."""
    without_value = op.command in vocabulary.FLAGS_WITHOUT_VALUE
    for word, after in zip(op.words, (*op.words[1:], None), strict=False):
        if not isinstance(word, Lit):
            continue
        names_value = not isinstance(after, Lit | None) and not without_value
        flag = _LONG_FLAG.match(word.text)
        if flag and (every or not names_value):
            yield identifier(flag[1]).strip("_")
        elif _WORD.match(word.text) and len(word.text) > 1 and (every or not names_value):
            yield identifier(word.text).strip("_")


def _taken_in(op: Op) -> frozenset[str]:
    return _IN_BODIES | {WORDS, GIVEN} if op.templates else _IN_BODIES


def _name_params(
    params: Sequence[Param], known: Recorded | None, in_body: frozenset[str] = _IN_BODIES
) -> tuple[Param, ...]:
    if known and len(known.params) == len(params):
        return tuple(
            replace(param, name=name) for param, name in zip(params, known.params, strict=True)
        )
    taken = set(in_body)
    named = []
    for param in params:
        name = _free(_param_names(param), taken)
        taken.add(name)
        named.append(replace(param, name=name))
    return tuple(named)


def _param_names(param: Param) -> Iterator[str]:
    hints = [hint for hint in param.hints if hint] or ["word"]
    for hint in hints:
        name = "if_file" if hint == "if" else identifier(hint, digit="option_", empty="word")
        yield name
    base = identifier(hints[0], digit="option_", empty="word")
    if base in _IN_BODIES:
        yield f"{base}_value"
    if param.kind is Kind.WORD or not base.endswith("_"):
        number = 2
        while True:
            yield f"{base.rstrip('_')}_{number}"
            number += 1
    while True:
        base += "_"
        yield base


def name_constants(
    used: Mapping[str, Iterable[tuple[str, ...]]],
) -> dict[tuple[str, tuple[str, ...]], str]:
    """Name the executables of each module, by their candidates."""
    names: dict[tuple[str, tuple[str, ...]], str] = {}
    for module, executables in used.items():
        taken = {"EXEC_DIRS"}
        # a bare name goes first, and gets the plain constant
        for candidates in sorted(executables, key=lambda each: (each[0].startswith("/"), each)):
            name = _free(_constant_names(candidates), taken)
            taken.add(name)
            names[module, candidates] = name
    return names


def _constant_names(candidates: tuple[str, ...]) -> Iterator[str]:
    base = constant_name(candidates[0].rpartition("/")[2])
    yield base
    for path in candidates:
        yield constant_name(path.replace("/", "_"))
    number = 2
    while True:
        yield f"{base}_{number}"
        number += 1
