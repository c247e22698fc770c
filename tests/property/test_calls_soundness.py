"""No entrypoint that was made of calls runs what its rules deny, and none refuses its callers.

Two judges: oslo.rootwrap for whatever an entrypoint accepts, and the call itself, of which every
command line that rootwrap allows has to be run as it was.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privmigrate.argv import spec as specs
from privmigrate.callsites import site as calls
from privmigrate.convert import Conversion, Options, convert
from privmigrate.convert.operation import Kill, Kind, Op
from privmigrate.convert.use import Use
from privmigrate.privsep.execute import Planned
from privmigrate.privsep.types import Netns
from privmigrate.rootwrap.rule import Rule
from privmigrate.testing import recording
from tests.convert.packages import (
    EXEC_DIRS,
    NOTHING,
    Judge,
    arguments_of,
    command_of,
    imported,
    plan,
    rules_of,
)
from tests.convert.sites import Given, each, site, template, value, when, word
from tests.property.test_convert_soundness import HOSTILE, value_for

RULES = r"""
chmod: CommandFilter, chmod, root
mount: CommandFilter, /bin/mount, root
lvs: EnvFilter, env, root, LC_ALL=C, LANG=, lvs
lvs2: EnvFilter, env, root, LC_ALL=C, lvs
ip: IpFilter, ip, root
netns: IpNetnsExecFilter, ip, root
find: RegExpFilter, find, root, find, /[^/]*, -maxdepth, \d+, -inum, \d+
ls: RegExpFilter, ls, root, ls, (-l|-a|-la), /var/lib/x/.*
ls2: RegExpFilter, ls, root, ls, -d, .*
rm: RegExpFilter, rm, root, rm, /a/.*
rm2: RegExpFilter, rm, root, rm, /b/.*
dd: RegExpFilter, dd, root, dd, if=\S+, of=/dev/[a-z]+, bs=\d+
tc: PathFilter, tc, root, pass, /var/lib/x
id: RegExpFilter, id, nobody, id, -u, [a-z]+
kill1: KillFilter, root, /usr/sbin/dnsmasq, -9, -HUP
kill2: KillFilter, root, /usr/sbin/radvd, -9
sysctl: CommandFilter, sysctl, root
ionice: ChainingRegExpFilter, ionice, root, ionice, -c[0-3]
"""

COMMANDS = ("chmod", "mount", "lvs", "ip", "find", "ls", "rm", "dd", "tc", "id", "sysctl", "kill")
FIXED = {
    "chmod": ("777", "-R", "u+w"),
    "mount": ("-t", "nfs", "--bind", "-o"),
    "lvs": ("--noheadings", "-o", "vg"),
    "ip": ("link", "set", "up", "netns", "addr"),
    "find": ("/x", "-maxdepth", "1", "-inum"),
    "ls": ("-l", "-a", "-d", "/var/lib/x/y"),
    "rm": ("/a/x", "/b/y", "-f"),
    "dd": ("if=/x", "of=/dev/x", "bs=1"),
    "tc": ("x", "/var/lib/x"),
    "id": ("-u", "root"),
    "sysctl": ("-w", "a.b=1"),
    "kill": ("-9", "-HUP"),
}
VARIABLES = ("LC_ALL=C", "LC_ALL=de", "LANG=", "LANG=C", "LD_PRELOAD=/x", "LANG", "=", "lvs")
PREFIXES = ("", "", "if=", "of=/dev/", "bs=", "/a/", "/var/lib/x/", "-", "k=", "/x")
ANY = specs.Any()
_CHOICES = (specs.Choice(("1", "2")), specs.Choice(("-l",)))
SPECS: tuple[specs.ArgSpec, ...] = (ANY, ANY, ANY, specs.Int(), *_CHOICES)
BENIGN = ("a", "/a", "1", "/a/b", "x.y", "/b/c", "/var/lib/x/z", "u:g", "17", "", "x y", "/x", "é")


@st.composite
def values(draw: st.DrawFn, names: Iterator[str]) -> calls.Value:
    return value(next(names), draw(st.sampled_from(SPECS)))


@st.composite
def words(draw: st.DrawFn, command: str, names: Iterator[str]) -> Given:
    match draw(st.sampled_from(("fixed", "fixed", "value", "value", "framed", "pair"))):
        case "fixed":
            return draw(st.sampled_from(FIXED[command]))
        case "value":
            return draw(values(names))
        case "framed":
            suffix = draw(st.sampled_from(("", "", "/x", "M")))
            return word(draw(st.sampled_from(PREFIXES)), draw(values(names)), suffix)
        case _:
            return word(draw(values(names)), ":", draw(values(names)))


@st.composite
def templates(draw: st.DrawFn, command: str, names: Iterator[str]) -> calls.Template:
    made: list[Given] = [command]
    for _ in range(draw(st.integers(0, 5))):
        match draw(st.sampled_from(("word", "word", "word", "word", "when", "each"))):
            case "word":
                made.append(draw(words(command, names)))
            case "when":
                inner = [draw(words(command, names)) for _ in range(draw(st.integers(1, 2)))]
                made.append(when(next(names), *inner))
            case _:
                flag = [draw(st.sampled_from(FIXED[command]))] if draw(st.booleans()) else []
                name = next(names)
                made.append(each(f"many_{name}", *flag, value(f"e{name}"), element=f"e{name}"))
    env: dict[str, str | calls.Value] = {}
    if command == "lvs":
        env = {"LC_ALL": "C"}
        if draw(st.booleans()):
            env["LANG"] = "C" if draw(st.booleans()) else value(next(names))
    netns = next(names) if draw(st.integers(0, 5)) == 0 else ""
    prefix = ("ionice", "-c3") if not netns and draw(st.integers(0, 8)) == 0 else ()
    return template(*made, env=env, netns=netns, prefix=prefix)


@st.composite
def sites(draw: st.DrawFn) -> list[calls.Site]:
    names = (f"v{number}" for number in itertools.count(1))
    found = []
    for line in range(1, draw(st.integers(2, 6)) + 1):
        command = draw(st.sampled_from(COMMANDS))
        shapes = [
            draw(templates(command, names)) for _ in range(draw(st.sampled_from((1, 1, 1, 2))))
        ]
        # what is assigned elsewhere has to be taken as the caller has built it
        reasons = [calls.Reason.REASSIGNED] if draw(st.integers(0, 2)) == 0 else []
        found.append(site(*shapes, line=line, words="cmd", built="built", reasons=reasons))
    return found


def rendered(
    made: calls.Template, given: Mapping[str, object]
) -> tuple[list[str], list[str], dict[str, str]]:
    """What the call runs with these values: what stands in front, the words, the environment."""

    def text(each: calls.Word, bound: Mapping[str, object]) -> str:
        return "".join(
            part.text if isinstance(part, calls.Text) else str(bound[part.source])
            for part in each.parts
        )

    def row(segments: Sequence[calls.Segment], bound: Mapping[str, object]) -> Iterator[str]:
        for segment in segments:
            match segment:
                case calls.Word():
                    yield text(segment, bound)
                case calls.Optional(guard, inner):
                    if bound[guard]:
                        yield from row(inner, bound)
                case calls.Repeated(source, inner):
                    many = bound[source]
                    assert isinstance(many, list)
                    for item in many:
                        yield from row(inner, {**bound, segment.element: item})

    front = [text(each, given) for each in made.prefix]
    if made.netns is not None:
        front = ["ip", "netns", "exec", text(made.netns, given)]
    env = {name: text(each, given) for name, each in made.environment}
    return front, list(row(made.segments, given)), env


def namespace(data: st.DataObject, made: calls.Template) -> dict[str, object]:
    """A value for each name of a template that it says is possible."""
    given: dict[str, object] = {}

    def visit(segments: Sequence[calls.Segment]) -> None:
        for segment in segments:
            match segment:
                case calls.Word(parts):
                    for part in parts:
                        if isinstance(part, calls.Value):
                            given[part.source] = data.draw(possible(part.spec))
                case calls.Optional(guard, inner):
                    given[guard] = data.draw(st.booleans())
                    visit(inner)
                case calls.Repeated(source, inner):
                    given[source] = data.draw(st.lists(st.sampled_from(BENIGN), max_size=3))
                    visit(inner)

    visit(made.segments)
    for _, variable in made.environment:
        visit((variable,))
    netns = made.netns.parts if made.netns else ()
    given.update({part.source: "q-1" for part in netns if isinstance(part, calls.Value)})
    return given


def possible(spec: specs.ArgSpec) -> st.SearchStrategy[object]:
    match spec:
        case specs.Choice(choices):
            return st.sampled_from(choices)
        case specs.Int():
            return st.integers(0, 9)
        case _:
            return st.sampled_from(BENIGN)


class World:
    """Calls and rules converted and imported, with their judge."""

    def __init__(self, rules: Sequence[Rule], made: Sequence[calls.Site], package: str) -> None:
        options = Options(package=package, exec_dirs=EXEC_DIRS)
        self.package = package
        self.conversion: Conversion = convert(rules, options, NOTHING, made)
        self.judge = Judge.of(rules, self.conversion)

    def check(self, op: Op, positional: list[object], named: dict[str, object]) -> None:
        """Put what would run to oslo.rootwrap."""
        planned = plan(command_of(self.package, op), positional, named)
        if planned is None or isinstance(op.native, Kill):
            return
        assert self.judge.why_not(op, planned, "", ()) == "" or op.prefixes
        for name in op.prefixes:
            under = Netns("q-1") if name == "Netns" else self._ionice()
            chained = plan(command_of(self.package, op), positional, {**named, "under": under})
            if chained is not None:
                with recording():
                    front = under.words()  # type: ignore[attr-defined]
                assert self.judge.why_not(op, chained, name, front) == ""

    def _ionice(self) -> object:
        import importlib

        return importlib.import_module(f"{self.package}.common").Ionice("3")

    def allows(self, front: list[str], argv: list[str], env: Mapping[str, str]) -> bool:
        """Whether oslo.rootwrap lets the call run."""
        words = [*(["env", *(f"{k}={v}" for k, v in env.items())] if env else []), *front, *argv]
        return _matches(list(self.judge.filters.values()), words)

    def runs(
        self, use: Use, given: Mapping[str, object], argv: list[str], env: Mapping[str, str]
    ) -> Planned | None:
        """What the replaced call would execute."""
        front = ["env", *(f"{name}={text}" for name, text in env.items())] if env else []
        scope: dict[str, object] = {**given, "cmd": argv, "built": front + argv, "Netns": Netns}
        if any(name == "Ionice" for _, name in use.imports):
            scope["Ionice"] = type(self._ionice())
        positional: list[object] = []
        named: dict[str, object] = {}
        for argument in use.arguments:
            result = eval(argument.source, scope)
            if argument.keyword:
                named[argument.name] = result
            else:
                positional.append(result)
        if use.under:
            named["under"] = eval(use.under, scope)
        return plan(command_of(self.package, use.op), positional, named)


def _matches(filters: Sequence[object], words: list[str]) -> bool:
    from oslo_rootwrap import filters as theirs

    for each_filter in filters:
        assert isinstance(each_filter, theirs.CommandFilter)
        if not each_filter.match(list(words)):
            continue
        if not isinstance(each_filter, theirs.ChainingFilter):
            return True
        leaf = each_filter.exec_args(list(words))
        same = [f for f in filters if getattr(f, "run_as", "") == each_filter.run_as]
        plain = [f for f in same if not isinstance(f, theirs.ChainingFilter)]
        if leaf and _matches(plain, leaf):
            return True
    return False


_NUMBERS = itertools.count()
SETTINGS = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calls")


@SETTINGS
@given(made=sites(), data=st.data())
def test_rules_allow_whatever_entrypoints_of_calls_run(
    folder: Path, made: list[calls.Site], data: st.DataObject
) -> None:
    package = f"made{next(_NUMBERS)}"
    world = World(rules_of(RULES), made, package)
    with imported(world.conversion, package, folder):
        for op in world.conversion.ops:
            for _ in range(4):
                if op.templates:
                    some = st.sampled_from((*HOSTILE, *FIXED[op.command], *BENIGN))
                    line = [op.called_as, *data.draw(st.lists(some, max_size=5))]
                    if op.assigned:
                        variables = st.lists(st.sampled_from(VARIABLES), max_size=3)
                        line[:0] = ["env", *data.draw(variables)]
                    world.check(op, [line], {})
                    continue
                drawn = [data.draw(argument(param.kind, value_for(param))) for param in op.params]
                world.check(op, *arguments_of(op, drawn, ()))


def argument(kind: Kind, words: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    if kind is Kind.ITEMS:
        return st.lists(words, max_size=3)
    return st.booleans() if kind is Kind.FLAG else words


@SETTINGS
@given(made=sites(), data=st.data())
def test_calls_are_run_as_they_were(
    folder: Path, made: list[calls.Site], data: st.DataObject
) -> None:
    """Whatever a call does with values that are no options, its entrypoint does."""
    package = f"used{next(_NUMBERS)}"
    world = World(rules_of(RULES), made, package)
    with imported(world.conversion, package, folder):
        for use in world.conversion.uses:
            shape = data.draw(st.sampled_from(use.site.templates))
            bound = namespace(data, shape)
            front, argv, env = rendered(shape, bound)
            if use.op.native is not None or not world.allows(front, argv, env):
                continue
            planned = world.runs(use, bound, argv, env)
            if planned is None:
                assert refused_on_purpose(shape, bound), (use, bound, argv)
                continue
            ran = list(planned.argv)
            for place in {0, len(front)}:
                ran[place] = ran[place].rpartition("/")[2]
            assert ran == [*front, *argv]
            assert dict(planned.env) == env
            assert dict(planned.env) == env


def refused_on_purpose(shape: calls.Template, bound: Mapping[str, object]) -> bool:
    """Nothing at all below a folder, an option by what is none, and no name within sysctl's."""
    framed = [
        (part.text, bound.get(after.source, ""))
        for segment in _flat(shape.segments)
        for part, after in itertools.pairwise(segment.parts)
        if isinstance(part, calls.Text) and isinstance(after, calls.Value)
    ]
    named = shape.command == "sysctl" and any(set("/= ") & set(str(each)) for _, each in framed)
    return named or any(text == "-" or value == "" for text, value in framed)


def _flat(segments: Sequence[calls.Segment]) -> Iterator[calls.Word]:
    for segment in segments:
        if isinstance(segment, calls.Word):
            yield segment
        else:
            yield from _flat(segment.segments)
