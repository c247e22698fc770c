"""One place in a service that runs a command as root, and everything that is known of it.

Nothing here is executed: expressions are the source as it is written, for people and for the
rewriter. What could not be told is said by a `Reason`, never left out.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from privmigrate.argv.spec import Any, ArgSpec, Choice
from privmigrate.diagnostics import Span

MAX_TEXTS: Final = 48

# Keyword arguments that an entrypoint has, or that change nothing for a caller.
KNOWN_OPTIONS: Final = frozenset({
    "check_exit_code", "process_input", "attempts", "delay_on_retry", "log_errors", "loglevel",
    "extra_ok_codes", "return_stderr", "log_fail_as_error", "privsep_exec",
})  # fmt: skip


TIMED_OPTIONS: Final = frozenset({"timeout", "interval", "backoff_rate", "raise_timeout"})
TIMED_EXECUTORS: Final = frozenset({
    "os_brick.executor.Executor._execute", "os_brick.privileged.rootwrap.execute",
})  # fmt: skip
"""What gives these options the meaning that an entrypoint gives them; processutils has another."""


class Root(Enum):
    """Whether the call runs as root."""

    ALWAYS = "always"
    CONDITIONAL = "conditional"  # `run_as_root=self._execute_as_root`


class Convention(Enum):
    """How an executor takes the command line and what it gives back."""

    OSLO = "oslo"  # execute(*words, **options) -> (stdout, stderr)
    LIST = "list"  # execute(words, **options) -> stdout, or a pair with return_stderr: neutron's


class Result(Enum):
    """What the caller makes of what comes back."""

    IGNORED = "ignored"
    PAIR = "pair"  # out, err = execute(...)
    STDOUT = "stdout"  # out, _ = execute(...), execute(...)[0]; neutron's text
    WHOLE = "whole"  # assigned or used as it is
    RETURNED = "returned"


class Origin(Enum):
    """Where a value comes from."""

    PARAMETER = "parameter"
    LOCAL = "local"
    ATTRIBUTE = "attribute"
    CONFIGURATION = "configuration"
    CALL = "call"
    LOOP = "loop"
    OUTPUT = "output"  # of another command
    EXPRESSION = "expression"


class Reason(Enum):
    """Why a call site is not resolved, or not as narrow as its text looks."""

    SPLIT = "split"  # a configured command that is split at run time
    FREE_WORDS = "free-words"  # a list that comes from elsewhere is spliced in
    FREE_COMMAND = "free-command"  # what is run is not known
    REASSIGNED = "reassigned"  # a 'constant' that is assigned elsewhere as well
    REMOTE = "remote"  # the same call may go to another host
    INJECTED = "injected"  # the executor is passed in and not every one is known
    TOO_MANY = "too-many"  # more alternatives than are followed
    SHELL = "shell"  # the command line is a shell's program
    OPTIONS = "options"  # keyword arguments that no entrypoint has (cwd, shell, ...)
    PROCESS = "process"  # the caller gets a running process
    WRAPPER = "wrapper"  # forwards its own parameters: its callers are the sites
    UNPARSED = "unparsed"  # the file is no Python 3


@dataclass(frozen=True, slots=True)
class Text:
    """A fixed piece of a word."""

    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """A piece of a word that is only known at run time.

    Attributes:
        source: the expression as it is written at `span`.
        names: what it might be called, best first.
        movable: `source`, evaluated where the call stands, gives the same value: nothing that it
            reads is assigned in between, and it has no effect of its own.
        spec: what can be told of its value; for a loop over constants their `Choice`.
    """

    source: str
    span: Span
    names: tuple[str, ...] = ()
    origin: Origin = Origin.EXPRESSION
    movable: bool = True
    spec: ArgSpec = field(default_factory=Any)


Part = Text | Value


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line, its pieces in order: ``'if=%s' % path`` has two.

    Attributes:
        source, span, movable: an expression for the whole word, as for a `Value`; "" where the
            word is fixed, or where no expression at the call gives all of it.
    """

    parts: tuple[Part, ...]
    source: str = ""
    span: Span | None = None
    movable: bool = True

    @property
    def text(self) -> str | None:
        """The whole word, where it is fixed."""
        match self.parts:
            case ():
                return ""
            case (Text(text),):
                return text
            case _:
                return None

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that the word may be, where they are few and known; else none."""
        found: tuple[str, ...] = ("",)
        for part in self.parts:
            match part:
                case Text(text):
                    more: tuple[str, ...] = (text,)
                case Value(spec=Choice(values)):
                    more = values
                case _:
                    return ()
            found = tuple(one + other for one in found for other in more)
            if len(found) > MAX_TEXTS:
                return ()
        return found

    @property
    def passable(self) -> bool:
        """Whether what is not fixed of it can be written at the call."""
        values = [part for part in self.parts if isinstance(part, Value)]
        return all(value.movable for value in values) or bool(self.source and self.movable)


@dataclass(frozen=True, slots=True)
class Optional:
    """Segments that are there when `guard`, an expression, is true."""

    guard: str
    segments: tuple["Segment", ...]
    span: Span
    movable: bool = True


@dataclass(frozen=True, slots=True)
class Repeated:
    """Segments for each element of `source`, which `element` names; or a spliced list itself."""

    source: str
    segments: tuple["Segment", ...]
    span: Span
    element: str = ""
    movable: bool = True


Segment = Word | Optional | Repeated


@dataclass(frozen=True, slots=True)
class Template:
    """One shape of a site's command line, without what only stands in front of a command.

    Attributes:
        segments: the command, then its arguments.
        environment: variables that are set for it (``env LC_ALL=C``, `addl_env`).
        netns: the network namespace that it is executed in.
        prefix: other words in front of it (``ionice -c3``), as they stand.
        front: everything in front of it that its list has, as it stands there.
        guard: the condition under which the site has this shape, or "" where it is the only one.
        movable: whether `guard` may be evaluated where the call stands.
    """

    segments: tuple[Segment, ...]
    environment: tuple[tuple[str, Word], ...] = ()
    netns: Word | None = None
    prefix: tuple[Word, ...] = ()
    guard: str = ""
    movable: bool = True
    front: tuple[Word, ...] = ()

    @property
    def command(self) -> str | None:
        """What is run, where it is fixed."""
        match self.segments:
            case (Word() as word, *_):
                return word.text
            case _:
                return None

    @property
    def commands(self) -> tuple[str, ...]:
        """Every command that it may run: more than one where a loop goes through them."""
        match self.segments:
            case (Word() as word, *_):
                return word.texts
            case _:
                return ()

    @property
    def passable(self) -> bool:
        """Whether everything that is not fixed can be written at the call."""
        around = [word for _, word in self.environment]
        around += [self.netns] if self.netns is not None else []
        return all(map(_passable, (*around, *self.prefix, *self.segments)))

    @property
    def closed(self) -> bool:
        """Whether it has no list of free words in it."""
        return all(map(_closed, self.segments))


def _passable(segment: Segment) -> bool:
    match segment:
        case Word():
            return segment.passable
        case Optional():
            return segment.movable and all(map(_passable, segment.segments))
        case Repeated():
            # its elements are made of `element`, which is passed; or it is a list that is passed
            return segment.movable


def _closed(segment: Segment) -> bool:
    match segment:
        case Word():
            return True
        case Optional():
            return all(map(_closed, segment.segments))
        case Repeated():
            return bool(segment.segments) and all(map(_closed, segment.segments))


@dataclass(frozen=True, slots=True)
class Option:
    """A keyword argument of the executor; `constant` tells whether `source` is a literal."""

    name: str
    source: str
    constant: bool


@dataclass(frozen=True, slots=True)
class Caller:
    """A call of a wrapper, and of others that this one calls on the way; its templates' numbers."""

    route: tuple[Span, ...]
    templates: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What a wrapper's own call is given by those who call the wrapper, in the terms of a `Site`.

    Attributes:
        callers: every one of them; without their places where the call has been replaced.
        why: why not all that it may be given is known, or "".
    """

    callers: tuple[Caller, ...] = ()
    why: str = ""
    templates: tuple[Template, ...] = ()
    reasons: tuple[Reason, ...] = ()
    words_source: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """One call.

    Attributes:
        span: the call expression, in a file named as it was given.
        module: dotted name of the module it stands in.
        function: qualified name of the function it stands in, or "".
        executor: the callee as written: ``self._execute``, ``processutils.execute``.
        root, condition: whether it runs as root; the expression that decides, if one does.
        templates: every shape of its command line; empty where none could be told.
        reasons: why it is not resolved, or resolved with a doubt.
        words_source: an expression for the whole command line as a list, where one can be given
            at the call: what a checked-argv entrypoint is called with.
        list_source: the same with what stands in front of the command.
        options: keyword arguments that matter, `run_as_root` and `root_helper` left out.
        result: what becomes of what comes back.
        handlers: exception types, as written, that an enclosing `try` catches.
        building: the statements that do nothing but build this command line, in order: the
            rewriter may remove them if it does not use them.
        via: for a call through a wrapper of the project, the wrappers' qualified names, outermost
            first; empty for a direct call.
        sentinel: that it runs as root is said by a word of its list (``sudo``), to whoever gets it.
        also_outside: it runs as root also where the namespace that it names is none.
        through: functions of the project between the call and the executor that only pass
            everything on.
        declared: what a person says of its executor, by which it is on this host.
        given: for a wrapper's own call, what the wrapper's callers give it.
        covered: it goes through wrappers, whose own calls have the list of all that they are given.
    """

    span: Span
    module: str
    function: str
    executor: str
    convention: Convention
    root: Root
    condition: str = ""
    templates: tuple[Template, ...] = ()
    reasons: tuple[Reason, ...] = ()
    words_source: str = ""
    list_source: str = ""
    options: tuple[Option, ...] = ()
    result: Result = Result.WHOLE
    handlers: tuple[str, ...] = ()
    building: tuple[Span, ...] = ()
    via: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    sentinel: bool = False
    also_outside: bool = False
    declared: tuple[str, ...] = ()
    given: Given | None = None
    covered: bool = False

    @property
    def resolved(self) -> bool:
        """Whether every shape of its command line is known, and the command of each."""
        return (
            bool(self.templates)
            and not set(self.reasons) & UNRESOLVED
            and all(each.commands and each.closed for each in self.templates)
        )

    @property
    def timed(self) -> bool:
        """Whether its executor takes the options of `TIMED_OPTIONS`."""
        return bool(TIMED_EXECUTORS & {*self.via, *self.through})

    @property
    def direct(self) -> bool:
        """Whether it calls an executor itself, with words of its own."""
        return not self.via and not self.sentinel and Reason.WRAPPER not in self.reasons

    @property
    def typable(self) -> bool:
        """Whether one typed call can stand in its place, with the same meaning."""
        return (
            self.resolved
            and len(self.templates) == 1
            and not self.reasons
            and not self.via
            and self.templates[0].passable
        )

    @property
    def checkable(self) -> bool:
        """Whether its whole list can be checked against a finite set of templates."""
        return self.typable or (
            self.resolved
            and bool(self.words_source or self.list_source)
            and not self.via
            and not set(self.reasons) & BLOCKING
        )


UNRESOLVED: Final = frozenset({
    Reason.SPLIT, Reason.FREE_WORDS, Reason.FREE_COMMAND, Reason.TOO_MANY, Reason.WRAPPER,
})  # fmt: skip
"""With one of these the command line is not known."""

BLOCKING: Final = frozenset({Reason.REMOTE, Reason.INJECTED, Reason.PROCESS})
"""With one of these it is known, but no entrypoint may take its place without a person."""

AS_BUILT: Final = frozenset({Reason.REASSIGNED})
"""With one of these its words may be others at run time: only the list that the caller has built
says which, and what it is given is what is checked."""
