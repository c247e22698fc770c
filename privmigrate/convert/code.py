"""Prints operations as Python, one unit of text each.

What a unit needs to have imported travels with it, so that units can be put together in any
module. How modules are put together is `render`'s business.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.argv.template import Template
from privmigrate.convert.annotate import RUNTIME, TYPES, Imports, annotation, prefixed, typed
from privmigrate.convert.body import call, row, usage
from privmigrate.convert.layout import Expression, Group, Union, docstring, lay_out
from privmigrate.convert.listing import GIVEN, WORDS, taken_apart, usage_of, words_parameter
from privmigrate.convert.operation import (
    Call,
    Cat,
    Hole,
    Kill,
    Kind,
    Lit,
    Op,
    Param,
    Prefix,
    Source,
    Word,
)
from privmigrate.convert.place import COMMON, PURPOSES, UNVERIFIED
from privmigrate.convert.text import quote, quote_formatted

MARK: Final = "# privmigrate:"
EXEC_DIRS: Final = "EXEC_DIRS"

_WIDTH: Final = 79
_MOST_CALLERS: Final = 3
_TEMPORARY: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - looked for, not used


@dataclass(frozen=True, slots=True)
class Unit:
    """A top-level statement: its identity, its text, and the (module, name) pairs it imports."""

    identity: str
    text: str
    imports: frozenset[tuple[str, str]]
    mark: str = ""  # the line of provenance above it


@dataclass(frozen=True, slots=True)
class Package:
    """What all units of one generated package have in common."""

    name: str
    runtime: str
    exec_dirs: tuple[str, ...]
    constants: Mapping[tuple[str, tuple[str, ...]], str]  # (module, candidates) -> name
    prefixes: Mapping[str, Prefix]


def function(op: Op, package: Package) -> Unit:
    """Print an entrypoint."""
    imports = Imports()
    context = imports.use(package.name, f"{op.context}_context")
    lines = [f"@{context}.entrypoint", *_command_decorator(op, imports)]
    result = imports.use(RUNTIME, "ExecResult")
    signature = Group(
        f"def {op.name}(", tuple(_parameters(op, package, imports)), f") -> {result}:"
    )
    lines.extend(lay_out(signature))
    lines.extend(docstring(_sentences(op)))
    lines.extend(taken_apart(op, imports))
    lines.extend(lay_out(call(op, _executable_of(op, package), imports), 4, before="return "))
    text = "\n".join(_without_lint(lines))
    return Unit(op.key, text, frozenset(imports.pairs), provenance(op.key, op.sources))


def provenance(key: str, sources: Sequence[Source]) -> str:
    """The one line above a unit that says where it comes from."""
    line = _enumerated(f"{MARK} {key} ", sources, _WIDTH)
    printable = "".join(c if c.isprintable() else "?" for c in line)
    return printable if len(printable) <= _WIDTH else printable[: _WIDTH - 3] + "..."


def _enumerated(line: str, items: Sequence[object], width: int) -> str:
    """As many of them as there is room for, at least one, and how many are left."""
    shown = 0
    for item in items:
        more = f" +{len(items) - shown - 1}" if shown + 1 < len(items) else ""
        part = f"{',' if shown else ''} {item}"
        if shown and len(line + part + more) > width:
            break
        line += part
        shown += 1
    if shown < len(items):
        line += f" +{len(items) - shown}"
    return line


def prefix_class(prefix: Prefix, package: Package) -> Unit:
    """Print the class of a chain: a tuple, so that it travels to the daemon as it is."""
    imports = Imports()
    lines = [f"class {prefix.name}({imports.use('typing', 'NamedTuple')}):"]
    shown = usage(prefix.command, prefix.words, prefix.params)
    lines.extend(docstring([f"The prefix {shown}."]))
    lines.append("")
    for param in prefix.params:
        lines.extend(lay_out(typed(param, imports), 4))
    literal = imports.use("typing", "Literal")
    lines.extend(
        lay_out(
            Group(f"{literal}[", (quote(prefix.name),), f"] = {quote(prefix.name)}"), 4, "prefix: "
        )
    )
    lines.extend(["", "    def words(self) -> tuple[str, ...]:"])
    lines.append('        """Return what stands before the command."""')
    constant = package.constants[COMMON, prefix.candidates]
    words = [f"{constant}.resolve()", *(_self_word(word, prefix) for word in prefix.words)]
    imports.use(RUNTIME, "Executable")
    if prefix.optional:
        field = f"self.{prefix.params[-1].name}"
        lines.append(f"        if {field} is None:")
        lines.extend(lay_out(row(words[:-1]), 12, before="return "))
    lines.extend(lay_out(row(words), 8, before="return "))
    if prefix.capabilities:
        imports.use(RUNTIME, "capabilities")
        lines.extend(["", "    def needs(self) -> tuple[int, ...]:"])
        lines.append('        """Return the capabilities that the prefix needs itself."""')
        needed = [f"capabilities.{each}" for each in prefix.capabilities]
        lines.extend(lay_out(row(needed), 8, before="return "))
    text = "\n".join(_without_lint(lines))
    return Unit(prefix.key, text, frozenset(imports.pairs), provenance(prefix.key, prefix.sources))


def executable(module: str, candidates: tuple[str, ...], package: Package) -> Unit:
    """Print a constant for an executable, looked up when it is used first."""
    imports = Imports()
    name = package.constants[module, candidates]
    call = imports.use(RUNTIME, "Executable")
    items = [quote(path) for path in candidates]
    if any(not path.startswith("/") for path in candidates):
        items.append(f"dirs={imports.use(package.name, EXEC_DIRS)}")
    lines = lay_out(Group(f"{call}(", tuple(items), ")"), before=f"{name} = ")
    return Unit(f"={name}", "\n".join(_without_lint(lines)), frozenset(imports.pairs))


def directories(package: Package) -> Unit:
    """Print the folders in which bare names are looked up."""
    group = row([quote(folder) for folder in package.exec_dirs])
    lines = lay_out(group, before=f"{EXEC_DIRS} = ")
    return Unit(f"={EXEC_DIRS}", "\n".join(_without_lint(lines)), frozenset())


def context(name: str, needed: Sequence[str] | None, package: Package) -> Unit:
    """Print a context; without a capability set it keeps everything."""
    imports = Imports()
    module = imports.use(package.runtime, "priv_context")
    names: Expression = "capabilities=[]"
    if needed is None:
        imports.use(package.runtime, "capabilities")
        names = "capabilities=list(capabilities.Capabilities)"
    elif needed:
        imports.use(package.runtime, "capabilities")
        names = Group("capabilities=[", tuple(f"capabilities.{each}" for each in needed), "]")
    variable = f"{name}_context"
    section = package.name.replace(".", "_")
    items: tuple[Expression, ...] = (
        quote(package.name),
        f"cfg_section={quote(f'{section}_{name}')}",
        f"pypath={quote(f'{package.name}.{variable}')}",
        names,
    )
    lines = [f"# {PURPOSES[name]}"]
    if needed is None and name != UNVERIFIED:
        lines.append(f"# {PURPOSES[UNVERIFIED]}")
    lines.extend(lay_out(Group(f"{module}.PrivContext(", items, ")"), before=f"{variable} = "))
    return Unit(f"={variable}", "\n".join(lines), frozenset(imports.pairs))


def _command_decorator(op: Op, imports: Imports) -> list[str]:
    name = imports.use(RUNTIME, "command")
    given: list[Expression] = []
    if op.capabilities is not None:
        needed = tuple(f"capabilities.{each}" for each in op.capabilities)
        given.append(Group("capabilities=(", needed, ")", lonely=True))
    if op.capabilities:
        imports.use(RUNTIME, "capabilities")
    if op.only_under:
        given.append("only_under=True")
    return lay_out(Group(f"@{name}(", tuple(given), ")")) if given else [f"@{name}"]


def _parameters(op: Op, package: Package, imports: Imports) -> Iterable[Expression]:
    if op.templates:
        yield words_parameter(op.lines, imports)
    for param in op.params:
        if not param.keyword:
            yield typed(param, imports)
    keywords = [param for param in op.params if param.keyword]
    if op.rest:
        rest = annotation(Param(Kind.WORD, op.rest.spec), imports)
        for number in range(1, op.rest.minimum + 1):
            yield prefixed(f"argument_{number}: ", rest)
        yield prefixed("*args: ", rest)
    elif keywords or op.stdin or op.prefixes:
        yield "*"
    for param in keywords:
        yield typed(param, imports)
    if op.stdin:
        yield f"stdin: {imports.use(TYPES, 'Stdin')} | None = None"
    if op.prefixes:
        yield Union("under: ", (*_prefix_types(op.prefixes, package, imports), "None"), " = None")


def _prefix_types(names: Sequence[str], package: Package, imports: Imports) -> Sequence[str]:
    for name in names:
        if package.prefixes[name].namespace:
            imports.use(TYPES, name)
        else:
            imports.use(f"{package.name}.{COMMON}", name)
    return names


def _executable_of(op: Op, package: Package) -> Expression:
    """The constant of its executable, or of the one that the first word names."""
    constants = [package.constants[op.module, paths] for paths in op.executables]
    if not op.commands:
        return constants[0] if constants else ""
    names = (name for name, _ in op.commands)
    items = tuple(
        f"{quote(name)}: {constant}" for name, constant in zip(names, constants, strict=True)
    )
    called = f"{GIVEN}.command" if op.assigned else f"str({WORDS}[0])"
    return Group("{", items, f"}}[{called}]")


def _self_word(word: Word, prefix: Prefix) -> str:
    match word:
        case Lit(text):
            return quote(text)
        case Hole(number, before, after):
            field = f"self.{prefix.params[number].name}"
            # a plain conversion, because digits may come as a number
            return quote_formatted(before, field, after) if before or after else f"str({field})"


def _sentences(op: Op) -> Iterable[str]:
    match op.native:
        case Kill(programs):
            what = " or ".join(f"``{program}``" for program in programs)
            yield f"Signal a process that runs {what}."
        case Cat(path):
            yield f"Read ``{path}``."
        case None if op.templates:
            yield _listed_sentence(op.lines)
        case None:
            user = "" if op.run_as == "root" else f" as {op.run_as}"
            shown = usage(op.command, op.words, op.params, rest=op.rest is not None)
            yield f"Run {shown}{user}."
    if op.natively:
        yield "Done by system calls where the daemon can, otherwise by the command."
    if op.rest:
        yield "Wide: the filter allows any arguments; a RegExpFilter would narrow it."
    yield from (f"Narrower than the filter: {text}." for text in op.narrower)
    if op.only_under:
        yield "The daemon wants ``under``: no call runs it without."
    if op.calls:
        yield _calls_sentence(op.calls)


def _listed_sentence(lines: Sequence[Template]) -> str:
    shown = usage_of(lines[0])
    if len(lines) == 1:
        return f"Run {shown}, given as a list."
    return f"Run one of {len(lines)} command lines given as a list, such as {shown}."


def _calls_sentence(calls: Sequence[Call]) -> str:
    """Without lines and their order, so that the text stays while code moves."""
    places = sorted({(call.module, call.function) for call in calls})
    shown = [
        f"``{function}`` of ``{module}``" if function else f"``{module}``"
        for module, function in places[:_MOST_CALLERS]
    ]
    more = len(places) - len(shown)
    if more:
        shown.append(f"{more} more")
    *others, last = shown
    listed = f"{', '.join(others)} and {last}" if others else last
    return f"Called by {listed}."


def _without_lint(lines: Iterable[str]) -> Iterable[str]:
    """Tell bandit's rules that a path of the filter is meant, where it would warn."""
    in_docstring = False
    for line in lines:
        quotes = line.count('"""')
        if in_docstring or quotes:
            in_docstring = in_docstring ^ (quotes % 2 == 1)
            yield line
        elif any(f"{mark}{path}" in line for path in _TEMPORARY for mark in "\"'"):
            yield f"{line}  # noqa: S108"
        elif '"0.0.0.0"' in line:
            yield f"{line}  # noqa: S104"
        else:
            yield line
