"""What will be written: one `Op` for each generated entrypoint, one `Prefix` for each chain.

Every stage between reading and rendering takes and returns these values. A word of the command
line is either fixed (`Lit`) or filled by a parameter (`Hole`); where it was made from calls, some
words may be optional (`Option`) or there for every item of a list (`Each`); an operation that is
wide has a `Rest` after its words.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import Enum

from privmigrate.argv import template as argv
from privmigrate.argv.spec import ArgSpec


class Width(Enum):
    """How much an entrypoint accepts, measured against the filter that it came from."""

    EXACT = "exact"  # what the filter's author wrote, no more and no less
    NARROWED = "narrowed"  # less than the filter allows, on purpose
    WIDE = "wide"  # free arguments, as the filter allows them


class Fate(Enum):
    """What became of a rule."""

    ENTRYPOINT = "entrypoint"
    PREFIX = "prefix"  # a chain: it stands in front of other entrypoints
    INFRASTRUCTURE = "infrastructure"  # starts a privsep daemon; contexts replace it
    DEAD = "dead"  # no command line that would do anything is allowed by it
    SHADOWED = "shadowed"  # another rule takes every command line before it
    UNKNOWN = "unknown class"  # rootwrap skips it
    CALLED = "called"  # what was made of it replaced its calls
    UNUSED = "unused"  # no call needs it: a privilege to drop
    REFUSED = "refused"  # what it allows cannot be had safely


class Kind(Enum):
    """What a parameter is for."""

    WORD = "word"
    VARIABLE = "variable"  # the value of an environment variable
    PID = "pid"
    SIGNAL = "signal"
    FLAG = "flag"  # whether an option is there
    ITEMS = "items"  # several words of one kind


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A rule: the label of its file, its line, and its name as written."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        """As it is printed in comments and tables."""
        return f"{self.file}:{self.line} {self.name}"


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """A call site: its file below the top of its package, its line, and the function it is in."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        """As it is printed in tables."""
        return f"{self.file}:{self.line}"

    @property
    def module(self) -> str:
        """The dotted name of its module."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rule that became no entrypoint, and why."""

    source: Source
    filter_class: str
    fate: Fate
    why: str


@dataclass(frozen=True, slots=True)
class Lit:
    """A word that is always the same."""

    text: str


@dataclass(frozen=True, slots=True)
class Hole:
    """A word that the parameter with this number fills, between a fixed prefix and suffix."""

    number: int
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """Words that are there when the parameter with this number is given, or is true."""

    number: int
    words: tuple[Lit | Hole, ...]


@dataclass(frozen=True, slots=True)
class Each:
    """Words for every item of the parameter with this number, which fills their hole."""

    number: int
    words: tuple[Lit | Hole, ...]


Word = Lit | Hole
Segment = Word | Option | Each


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter.

    Attributes:
        kind: what it is for.
        spec: what its value may be; None where the kind says it all.
        hints: names that the rule suggests, best first.
        keyword: it can only be given by its name.
        optional: it may be left out.
        text: the variable's name as the environment has it, for a `Kind.VARIABLE`.
        name: its name in Python, once the stage `name` has chosen.
    """

    kind: Kind
    spec: ArgSpec | None = None
    hints: tuple[str, ...] = ()
    keyword: bool = False
    optional: bool = False
    text: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Rest:
    """Free arguments: the first `minimum` must be given, and each is held to `spec`."""

    spec: ArgSpec
    minimum: int = 0


@dataclass(frozen=True, slots=True)
class Kill:
    """Done by `natives.kill`: these signals, sent to a process of one of these programs."""

    programs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cat:
    """Done by `natives.cat`: the content of this file."""

    path: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables with a fixed value, and the sets of other variables that may be given."""

    fixed: tuple[tuple[str, str], ...]
    combinations: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Op:
    """One generated entrypoint.

    Attributes:
        command: the base name of what runs.
        candidates: absolute paths and bare names, the first that exists is executed.
        called_as: an argv[0] by which oslo.rootwrap finds the rule.
        run_as: the user that the command runs as.
        words: everything after the command, up to the free arguments.
        params: in the order in which they are printed.
        rest: the free arguments of a wide operation.
        environment: for an EnvFilter.
        native: the system calls that replace the command.
        patterns: what rootwrap matches word by word, for a RegExpFilter.
        chainable: a chain's check, which sees only the base name, finds the rule.
        sources: the rules that it came from, sorted.
        filter_class: the class of the first of them.
        width: against the filter.
        narrower: where it is narrower than the filter, as docstring sentences.
        remarks: what the person should know, for the table.
        comments: the comment lines above the rules.
        stdin: the command may read its standard input.
        templates: every command line that it takes as a list, for a checked one.
        assigned: where the lists are taken as callers build them, what stands in front of each of
            `templates`: ``env`` and its variables, or nothing.
        commands: where the lists are of several commands, what each is called and its candidates.
        natively: `natives.do` does it, and executes the command where it cannot.
        within: the folder that its path is checked to lie in, for a native.
        calls: the call sites that it was made from, sorted.
        prefixes: names of the prefix classes that it may run under.
        only_under: no call runs it without one of them.
        capabilities: what its commands get; None means everything its context has.
        module, name, context: where it goes and what it is called.
    """

    command: str
    candidates: tuple[str, ...]
    called_as: str
    run_as: str
    filter_class: str
    sources: tuple[Source, ...]
    words: tuple[Segment, ...] = ()
    params: tuple[Param, ...] = ()
    rest: Rest | None = None
    environment: Environment | None = None
    native: Kill | Cat | None = None
    patterns: tuple[str, ...] = ()
    chainable: bool = False
    width: Width = Width.EXACT
    narrower: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    stdin: bool = False
    templates: tuple[argv.Template, ...] = ()
    assigned: tuple[tuple[argv.Segment, ...], ...] = ()
    commands: tuple[tuple[str, tuple[str, ...]], ...] = ()
    natively: bool = False
    within: str = ""
    calls: tuple[Call, ...] = ()
    prefixes: tuple[str, ...] = ()
    only_under: bool = False
    capabilities: tuple[str, ...] | None = None
    module: str = ""
    name: str = ""
    context: str = ""

    @property
    def plain_words(self) -> tuple[Word, ...]:
        """The words without parts that may be left out or repeated; all, where a rule made it."""
        return tuple(word for word in self.words if isinstance(word, Lit | Hole))

    @property
    def lines(self) -> tuple[argv.Template, ...]:
        """The command lines that it takes as a list, with the variables in front of them."""
        if not self.assigned:
            return self.templates
        return tuple(
            argv.Template((*front, *each.segments))
            for front, each in zip(self.assigned, self.templates, strict=True)
        )

    @property
    def executables(self) -> tuple[tuple[str, ...], ...]:
        """The candidates of everything that it executes."""
        if self.native is not None:
            return ()
        return tuple(paths for _, paths in self.commands) or (self.candidates,)

    @property
    def by_command(self) -> tuple["Op", ...]:
        """The operation for each of its commands by itself."""
        if not self.commands:
            return (self,)
        return tuple(
            replace(
                self,
                command=name.rpartition("/")[2],
                candidates=paths,
                commands=(),
                assigned=(),
                templates=tuple(
                    each for each in self.templates if each.segments[:1] == (argv.Lit(name),)
                ),
            )
            for name, paths in self.commands
        )

    @property
    def remembered(self) -> tuple[Source, ...]:
        """The rules by which a later run finds it again: what calls need is found by its key."""
        return () if self.calls else self.sources

    @property
    def identity(self) -> tuple[object, ...]:
        """What makes two operations the same: everything but executables and combinations."""
        fixed = self.environment.fixed if self.environment else None
        variables = Kind.VARIABLE
        specs = tuple(
            (param.kind, param.spec) for param in self.params if param.kind is not variables
        )
        native: object = None
        match self.native:
            case Kill(programs):
                native = ("kill", program_family(programs[0]))
            case Cat(path):
                native = ("cat", path)
            case None:
                pass
        if self.templates:
            native = ("templates", self.templates)
        if self.assigned:
            native = ("as built", self.lines)
        return (self.command, self.run_as, self.words, specs, self.rest, fixed, native)

    @property
    def key(self) -> str:
        """A short name of the identity that stays the same between runs and machines."""
        return hashlib.sha256(repr(self.identity).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Prefix:
    """A chain: words that may stand in front of entrypoints with the same `run_as`.

    `namespace` marks ``ip netns exec NAME``, whose class the runtime has; any other becomes a
    class of the generated package. The last `optional` words may be left out. `capabilities` are
    its own needs, which a command has on top of its own only behind it.
    """

    command: str
    candidates: tuple[str, ...]
    called_as: str
    run_as: str
    sources: tuple[Source, ...]
    words: tuple[Word, ...] = ()
    params: tuple[Param, ...] = ()
    optional: int = 0
    namespace: bool = False
    patterns: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    name: str = ""

    @property
    def plain_words(self) -> tuple[Word, ...]:
        """As an operation has them."""
        return self.words

    @property
    def key(self) -> str:
        """As the key of an operation."""
        specs = tuple((param.kind, param.spec) for param in self.params)
        identity = ("prefix", self.command, self.run_as, self.words, specs)
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:12]


def program_family(program: str) -> str:
    """The program without its folder and version: ``/usr/bin/python3.6`` is ``python``."""
    base = program.rpartition("/")[2]
    return base.rstrip("0123456789.") or base
