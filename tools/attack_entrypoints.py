"""Attack the entrypoints that real services get, as a client who may send anything.

    python -m tools.attack_entrypoints [--examples N] [--seed N] [PROJECT ...]

Each project of .cache/sources is converted with its own call sites, and every entrypoint is called
with values that travelled as a client's do: what its types accept, changed by what attackers try,
and what no type accepts. Judges that share nothing with our code look at what would run:
oslo.rootwrap with the original filters, a regular expression that says what the calls themselves
may run, and shlex for the texts that shells get. tests/property does the same, for less long.
"""

import argparse
import importlib
import inspect
import re
import shlex
import signal as signals
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, cast

from oslo_rootwrap import filters as oslo
from oslo_rootwrap import wrapper

from privmigrate.argv import spec as specs
from privmigrate.callsites import find_sites
from privmigrate.callsites import site as calls
from privmigrate.callsites.programs import SHELLS
from privmigrate.convert import Conversion, Options, convert
from privmigrate.convert.lock import Disk, write
from privmigrate.convert.made import call_of
from privmigrate.convert.operation import Call, Kill, Op
from privmigrate.convert.source import read_sources, relabel
from privmigrate.errors import Refused
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.privsep.commands import Command
from privmigrate.privsep.context import PrivContext
from privmigrate.privsep.entrypoint import CommandEntrypoint
from privmigrate.privsep.execute import PLANNING, ExecResult, Planned
from privmigrate.privsep.messages import CALL, Encoder, ProtocolError, decode
from tools.hostile_values import Maker
from tools.rewrite_sources import CACHE, SOURCES

_MOST_OF_ONE: Final = 3
_OPERATORS: Final = ";&|()<>`$\n"
_SEPARATOR: Final = "\x00"
_FREE: Final = f"[^{_SEPARATOR}]*"
_IN_NAMESPACE: Final = ("ip", "netns", "exec")
_HERE: Final = "(?:ip\0netns\0exec\0[^\0/.-][^\0/]*\0)"


@dataclass(frozen=True)
class Attacked:
    """What came of one project.

    Attributes:
        accepted: how many calls each entrypoint took, by its name.
        problems: what must not be, each with the call.
    """

    accepted: Mapping[str, int]
    problems: tuple[str, ...]


@dataclass
class Service:
    """A project's package, imported, with its judges."""

    package: str
    conversion: Conversion
    filters: Sequence[oslo.CommandFilter]
    shapes: Mapping[Call, Sequence[re.Pattern[str]]]

    def attack(self, random: Random, examples: int) -> Attacked:
        """Call every entrypoint so many times."""
        accepted: dict[str, int] = {}
        problems: list[str] = []
        for op in self.conversion.ops:
            body = inspect.signature(inspect.unwrap(self.entrypoint(op)))
            maker = Maker(random, op, body)
            count = 0
            wrong: list[str] = []
            for _ in range(examples):
                positional, named = travelled(*maker.call())
                try:
                    planned = asked_of(self.entrypoint(op), positional, named)
                except (Refused, TypeError):
                    continue
                except Exception as error:  # noqa: BLE001 - any other is what is looked for
                    wrong.append(f"{op.name}{positional}{named}: {error!r}")
                    continue
                count += 1
                wrong += [f"{op.name}{positional}{named}: {why}" for why in self.judge(op, planned)]
            accepted[f"{op.module}.{op.name}"] = count
            problems += wrong[:_MOST_OF_ONE]
        return Attacked(accepted, tuple(problems))

    def entrypoint(self, op: Op) -> CommandEntrypoint[...]:
        """What the package has for an operation."""
        module = importlib.import_module(f"{self.package}.{op.module}")
        return cast("CommandEntrypoint[...]", getattr(module, op.name))

    def judge(self, op: Op, planned: Sequence[Planned]) -> Iterator[str]:
        """Everything that is wrong with what would run."""
        if len(planned) != 1:
            yield f"runs {len(planned)} commands"
            return
        (one,) = planned
        words = asked(op, one)
        yield from commands_added(words)
        if isinstance(op.native, Kill):
            if not self.signal_is_allowed(op.native, words):
                yield f"no KillFilter allows {words}"
            return
        if not self.rootwrap_allows(words, one):
            yield f"oslo.rootwrap denies {words} as {one.user or 'root'}"
        if op.calls and op.rest is None and not self.is_of_a_call(op, words):
            yield f"no call runs {words}"

    def rootwrap_allows(self, words: Sequence[str], planned: Planned) -> bool:
        """Whether oslo.rootwrap, with the filters as they were, lets this user run it."""
        try:
            found = wrapper.match_filter(list(self.filters), list(words))
        except wrapper.NoFilterMatched:
            return False
        return found.run_as == (planned.user or "root")

    def signal_is_allowed(self, native: Kill, words: Sequence[str]) -> bool:
        """Whether a KillFilter for one of the programs has the signal, and one process is hit."""
        _, option, pid = words
        # without a signal in the filter, kill is called without one, and sends TERM
        return (
            pid.isdecimal()
            and int(pid) > 0
            and any(
                option in {f"-{_number_of(each)}" for each in found.args[1:] or ("TERM",)}
                for found in self.filters
                if isinstance(found, oslo.KillFilter) and found.args[0] in native.programs
            )
        )

    def is_of_a_call(self, op: Op, words: Sequence[str]) -> bool:
        """Whether a call that the entrypoint was made of may run these words."""
        text = "".join(word + _SEPARATOR for word in words)
        return any(shape.fullmatch(text) for call in op.calls for shape in self.shapes[call])


def asked_of(
    entrypoint: CommandEntrypoint[...],
    positional: Sequence[object],
    named: Mapping[str, object],
) -> tuple[Planned, ...]:
    """What the daemon would run for a client with these arguments; raise what it answers with."""
    planned: list[Planned] = []

    def note(each: Planned) -> ExecResult:
        planned.append(each)
        return ExecResult(0, b"", b"")

    with PLANNING.here(note):
        entrypoint.answer(*positional, **named)
    return tuple(planned)


def commands_added(words: Sequence[str]) -> Iterator[str]:
    """What is wrong with a shell's text, as `shlex` reads it: it is one command of fixed words."""
    for shell, option, text in zip(words, words[1:], words[2:], strict=False):
        if shell.rpartition("/")[2] not in SHELLS or option != "-c":
            continue
        lexer = shlex.shlex(text, posix=False, punctuation_chars=_OPERATORS)
        lexer.whitespace_split = True
        lexer.whitespace = " \t"
        lexer.commenters = ""
        try:
            operators = [each for each in lexer if each and set(each) <= set(_OPERATORS)]
        except ValueError as error:
            yield f"a shell reads {text!r}: {error}"
            continue
        if set(operators) - {">"}:
            yield f"a shell runs more than one command: {text!r}"


def _number_of(signal: str) -> int:
    name = signal.removeprefix("-").removeprefix("SIG")
    return int(name) if name.isdecimal() else int(signals.Signals[f"SIG{name}"])


def asked(op: Op, planned: Planned) -> list[str]:
    """The words as the caller of rootwrap would have given them."""
    front: list[str] = []
    words = list(planned.argv)
    words[0] = words[0].rpartition("/")[2]
    if tuple(words[:3]) == _IN_NAMESPACE and op.prefixes:
        front, words = words[:4], words[4:]
    words[0] = words[0].rpartition("/")[2] if front else _called(op, words[0])
    variables = [f"{name}={value}" for name, value in planned.env]
    return [*front, *(["env", *variables] if variables else []), *words]


def _called(op: Op, command: str) -> str:
    """What the calls name the command: rootwrap compares a pattern with that."""
    names = [op.called_as, *(name for name, _ in op.commands)]
    return next((name for name in names if name.rpartition("/")[2] == command), command)


def travelled(
    positional: list[object], named: dict[str, object]
) -> tuple[Sequence[object], Mapping[str, object]]:
    """The values as a daemon gets them; those that cannot be sent, as they are."""
    with suppress(TypeError, ValueError, OverflowError, ProtocolError):
        message = decode(Encoder().encode((CALL, 1, "a:b", tuple(positional), named)))
        _, _, _, args, kwargs = message
        return cast("Sequence[object]", args), cast("Mapping[str, object]", kwargs)
    return positional, named


# -- what a call may run, as a regular expression


def shapes_of(site: calls.Site) -> list[re.Pattern[str]]:
    """A pattern for each shape of a call, over its words with a NUL behind each.

    The shapes of a wrapper's own call are those that its callers give it.
    """
    given = site.given.templates if site.given is not None else ()
    shapes = (*site.templates, *given)
    return [re.compile(_pattern(each, also_outside=site.also_outside)) for each in shapes]


def _pattern(template: calls.Template, *, also_outside: bool) -> str:
    front = "" if template.netns is None else f"{_HERE}{'?' if also_outside else ''}"
    if template.prefix:
        front += "".join(_word(each) for each in template.prefix)
    if template.environment:
        variables = (
            f"{re.escape(name)}={_text_of(word)}{_SEPARATOR}"
            for name, word in sorted(template.environment, key=lambda pair: pair[0])
        )
        front += "env\0" + "".join(variables)
    first, *others = template.segments
    command = _word(first) if isinstance(first, calls.Word) else _FREE
    return f"{front}{command}{_row(others)}"


def _text_of(variable: calls.Word) -> str:
    """What a variable is set to: no word, so that anything goes where the call does not fix it."""
    return _FREE if variable.text is None else re.escape(variable.text)


def _row(segments: Sequence[calls.Segment]) -> str:
    return "".join(map(_segment, segments))


def _segment(segment: calls.Segment) -> str:
    match segment:
        case calls.Word():
            return _word(segment)
        case calls.Optional(_, inner):
            return f"(?:{_row(inner)})?"
        case calls.Repeated(_, inner):
            return f"(?:{_row(inner) if inner else _FREE + _SEPARATOR})*"


def _word(word: calls.Word) -> str:
    """A value that begins the word is no option, and leads out of no folder that is fixed."""
    first = word.parts[0] if word.parts else None
    start = "(?!-)" if isinstance(first, calls.Value) and not _is_known(first) else ""
    fixed = first.text if isinstance(first, calls.Text) else ""
    if "/" in fixed and len(word.parts) > 1:
        start += f"(?!{re.escape(fixed)}(?:{_FREE}/)?\\.\\.)"
    return f"{start}{_parts(word.parts)}{_SEPARATOR}"


def _parts(parts: Sequence[calls.Part]) -> str:
    return "".join(map(_part, parts))


def _part(part: calls.Part) -> str:
    match part:
        case calls.Text(text):
            return re.escape(text)
        case calls.Value(spec=specs.Choice(values)):
            return f"(?:{'|'.join(map(re.escape, values))})"
        case calls.Value(spec=specs.Int(prefix=prefix, suffix=suffix)):
            return f"{re.escape(prefix)}[0-9]+{re.escape(suffix)}"
        case calls.Value(spec=specs.Matches(pattern)):
            return f"(?:(?!{_SEPARATOR})(?:{pattern}))"
        case calls.Value():
            return "[^\0\n]*"


def _is_known(value: calls.Value) -> bool:
    return not isinstance(value.spec, specs.Any)


# -- the projects


def _same(text: str) -> str:
    return text


@contextmanager
def service(name: str, work: Path, change: Callable[[str], str] = _same) -> Iterator[Service]:
    """Convert a project, and have its package importable inside, with this change to its code."""
    folder, package, where = SOURCES[name]
    made = f"attacked_{package}"
    given = [str(path) for each in where for path in (CACHE / each).rglob("rootwrap.d")]
    sources = read_sources(given)
    rules = relabel(sources.rules, sources.labels)
    with chdir(CACHE / "sources" / folder):
        sites = find_sites([package]).sites
    options = Options(package=made, exec_dirs=sources.exec_dirs)
    conversion = convert(rules, options, Disk(None, {}), sites)
    write(work / made, {file: change(text) for file, text in conversion.texts.items()}, {})
    shapes: dict[Call, list[re.Pattern[str]]] = {}
    for site in sites:
        shapes.setdefault(call_of(site), []).extend(shapes_of(site))
    filters = list(wrapper.load_filters(given))
    for each in filters:
        each.real_exec = "/bin/true"  # whether it is installed here does not matter
    sys.path.insert(0, str(work))
    importlib.invalidate_caches()
    try:
        yield Service(made, conversion, filters, shapes)
    finally:
        sys.path.remove(str(work))
        for each_name in [each for each in sys.modules if each.partition(".")[0] == made]:
            del sys.modules[each_name]


def excess(found: Service) -> Iterator[str]:
    """Entrypoints that declare more than the context that they are in has, or nothing at all."""
    for op in found.conversion.ops:
        entrypoint = found.entrypoint(op)
        context = entrypoint.privsep_entrypoint
        assert isinstance(context, PrivContext)
        has = CapabilitySet.from_numbers(context.capabilities)
        command = entrypoint.function
        assert isinstance(command, Command)
        declared = command.capabilities
        if declared is not None and not declared <= has:
            yield f"{op.name} declares more than its context has"
        if declared is None and op.context != "unverified":
            yield f"{op.name} declares nothing"


def main() -> int:
    """Print what was tried, and everything that must not be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=2000, help="calls of each entrypoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("projects", nargs="*", metavar="PROJECT", default=list(SOURCES))
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.projects:
        with tempfile.TemporaryDirectory() as work, service(name, Path(work)) as found:
            attacked = found.attack(Random(arguments.seed), arguments.examples)
            problems = [*excess(found), *attacked.problems]
        never = [each for each, count in attacked.accepted.items() if not count]
        total = sum(attacked.accepted.values())
        print(
            f"{name}: {len(attacked.accepted)} entrypoints, "
            f"{len(attacked.accepted) * arguments.examples} calls, {total} accepted, "
            f"{len(problems)} wrong",
            flush=True,
        )
        if never:
            print(f"  never accepted: {', '.join(never)}")
        for each in problems:
            print(f"  {each.encode('utf-8', 'backslashreplace').decode()[:600]}")
        failed += len(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
