"""No entrypoint runs what its rules deny: every accepted value is put to oslo.rootwrap."""

import itertools
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from privmigrate.argv import spec as specs
from privmigrate.convert.operation import Kill, Kind, Op, Param
from privmigrate.convert.pipeline import Conversion, Options, convert
from privmigrate.privsep.execute import Prefix
from privmigrate.privsep.types import Netns
from privmigrate.rootwrap.parse import read_filters
from privmigrate.rootwrap.rule import Rule, Status
from privmigrate.testing import recording
from tests.convert.packages import (
    EXEC_DIRS,
    NOTHING,
    Judge,
    arguments_of,
    command_of,
    imported,
    module_of,
    plan,
    rules_of,
)

# ruff: noqa: E501 - lists of words

HOSTILE = (
    "", " ", "-", "--", "-x", "--help", "-rf", "/", "//", "..", "../..", "/..", "/etc/../etc/shadow",
    "/etc/shadow", "/dev/../etc/shadow", "/var/lib/images-evil/x", "a\n", "\n", "1\n", "٣", "0", "00",
    "-1", "1.5", "1e3", "exec", "netns", "a=b", "A=", "=", "e", "x y", "a;b", "$(id)", "root",
    "parent 1:", "/tmp/x", "/proc/1/cmdline", "http://h/", "10.0.0.1", "::1", "if=/etc/shadow", "é",
    "\udcff", "a\x00b", "0" * 30, "1" * 30,
)  # fmt: skip


def values_of(spec: specs.ArgSpec | None) -> st.SearchStrategy[str]:
    """Values that the specification is likely to accept."""
    text = st.text(st.characters(codec="utf-8"), max_size=6)
    match spec:
        case specs.Choice(values):
            return st.sampled_from(values)
        case specs.Int():
            return st.integers(0, 2**40).map(str) | st.from_regex(r"[0-9]{1,4}", fullmatch=True)
        case specs.Matches(pattern):
            return st.from_regex(re.compile(pattern), fullmatch=True)
        case specs.AbsolutePath():
            tail = st.text("ab/.-\n", max_size=8)
            return tail.map(lambda end: spec.below + spec.stem + end)
        case specs.PathWithin(base):
            return st.text("ab/.", max_size=8).map(lambda end: f"{base}/{end}")
        case _:
            return text


def value_for(param: Param) -> st.SearchStrategy[object]:
    hostile: st.SearchStrategy[object] = st.sampled_from(HOSTILE)
    match param.kind:
        case Kind.PID:
            likely: st.SearchStrategy[object] = st.integers(-2, 2**22 + 1)
        case Kind.VARIABLE:
            likely = st.text(max_size=5)
        case _:
            likely = values_of(param.spec)
    if param.optional:
        likely |= st.none()
    return st.one_of(likely, likely, likely, hostile)


@st.composite
def calls(draw: st.DrawFn, op: Op) -> tuple[list[object], dict[str, object]]:
    values = [draw(value_for(param)) for param in op.params]
    rest: list[object] = []
    if op.rest:
        words = st.sampled_from(HOSTILE) | st.text(max_size=4)
        if op.filter_class == "IpFilter":
            words = st.sampled_from(("netns", "net", "exec", "ex", "vrf", "-n", "x", "exec\n"))
        rest = draw(st.lists(words, max_size=5))
    return arguments_of(op, values, rest)


def prefixes_of(op: Op, package: str, conversion: Conversion) -> Iterator[tuple[str, Prefix]]:
    """Every prefix that the entrypoint takes, with a few values for its fields."""
    for name in op.prefixes:
        if name == "Netns":
            yield name, Netns("qrouter-1")
            continue
        prefix = next(each for each in conversion.prefixes if each.name == name)
        kind = getattr(module_of(package, "common"), name)
        samples = [_samples(param) for param in prefix.params]
        for values in itertools.islice(itertools.product(*samples), 40):
            yield name, kind(*values)


def _samples(param: Param) -> list[object]:
    none: list[object] = [None] if param.optional else []
    match param.spec:
        case specs.Choice(values):
            return [*none, *values]
        case specs.Int():
            return [*none, "0", "17"]
        case _:
            return [*none, "blkio:a", "x", "-x", "a\n"]


class World:
    """One conversion, imported, with its judge."""

    def __init__(self, rules: tuple[Rule, ...], package: str, *, whole: bool = False) -> None:
        self.package = package
        self.whole = whole  # the rules are one file, so that their order is known
        self.rules = rules
        self.conversion = convert(rules, Options(package=package, exec_dirs=EXEC_DIRS), NOTHING)
        self.judge = Judge.of(rules, self.conversion)

    def check(self, op: Op, positional: list[object], named: dict[str, object]) -> bool:
        """Put what would run to the judge; false if the arguments were refused."""
        command = command_of(self.package, op)
        planned = plan(command, positional, named)
        if planned is None:
            return False
        if isinstance(op.native, Kill):
            self._check_kill(op, planned.argv[1])
            return True
        assert self.judge.why_not(op, planned, "", ()) == ""
        if self.whole and op.native is None:
            assert self.judge.why_not_as_a_whole(op, planned) == ""
        for name, under in prefixes_of(op, self.package, self.conversion):
            chained = plan(command, positional, {**named, "under": under})
            if chained is not None:
                with recording():  # so that the prefix need not be installed
                    words = under.words()
                assert self.judge.why_not(op, chained, name, words) == ""
        return True

    def _check_kill(self, op: Op, option: str) -> None:
        """Each program may get this signal by a rule of its own."""
        import signal

        number = int(option.removeprefix("-"))
        names = {f"-{number}", f"-{signal.Signals(number).name}"}
        names.add(f"-{signal.Signals(number).name.removeprefix('SIG')}")
        assert isinstance(op.native, Kill)
        for program in op.native.programs:
            asked = [self.judge.filters[source.file, source.line] for source in op.sources]
            allowed = [each for each in asked if each.args[0] == program]
            assert any(
                names & set(each.args[1:]) or (len(each.args) == 1 and number == signal.SIGTERM)
                for each in allowed
            ), (program, option)


def distinct_rules(files: list[Path]) -> tuple[Rule, ...]:
    """Every different rule of all files, as if they were one file."""
    seen: dict[tuple[str, tuple[str, ...]], Rule] = {}
    for path in files:
        for rule in read_filters(str(path)).rules:
            if rule.status is Status.LIVE:
                seen.setdefault((rule.filter_class, rule.texts), rule)
    return tuple(
        replace(rule, span=replace(rule.span, file="all.filters", line=number), order=number)
        for number, rule in enumerate(seen.values(), start=1)
    )


@pytest.fixture(scope="module")
def world(real_filters: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    rules = distinct_rules(real_filters)
    assert len(rules) > 150
    made = World(rules, "everything")
    with imported(made.conversion, "everything", tmp_path_factory.mktemp("all")):
        yield made


def test_every_rule_is_accounted_for(world: World) -> None:
    conversion = world.conversion
    groups = [op.sources for op in conversion.ops]
    groups += [prefix.sources for prefix in conversion.prefixes]
    accounted = [(source.file, source.line) for sources in groups for source in sources]
    accounted += [(each.source.file, each.source.line) for each in conversion.outcomes]
    assert sorted(set(accounted)) == sorted((r.span.file, r.span.line) for r in world.rules)


@settings(
    max_examples=1500,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_real_rules_allow_whatever_their_entrypoints_run(world: World, data: st.DataObject) -> None:
    # CommandFilters allow everything: nothing could go wrong with them
    narrow = [op for op in world.conversion.ops if op.filter_class != "CommandFilter"]
    op = data.draw(st.sampled_from(narrow), label="op")
    positional, named = data.draw(calls(op), label="call")
    world.check(op, positional, named)


def test_each_entrypoint_of_real_rules_accepts_something(world: World) -> None:
    """What accepts nothing would pass every other test."""
    refused = [op for op in world.conversion.ops if not any(_try(world, op, n) for n in range(60))]
    assert [f"{op.name}: {op.sources[0]}" for op in refused] == []


def _try(world: World, op: Op, number: int) -> bool:
    words = [_word(param, number) for param in op.params]
    if op.environment:
        combination = op.environment.combinations[number % len(op.environment.combinations)]
        words = [
            word if param.text in combination or not param.text else None
            for word, param in zip(words, op.params, strict=True)
        ]
    rest: list[object] = ["x"] * op.rest.minimum if op.rest else []
    positional, named = arguments_of(op, words, rest)
    return world.check(op, positional, named)


_PLAUSIBLE = (
    "a", "/a", "1", "x1", "/dev/x", "10.0.0.1", "fe80::1", "ab-0f", "/etc/netns/qdhcp-1", "/tmp/x",
    "http://h:1", "%p", "img-cache-1", "/etc/frr/ab-0f", "/etc/frr/ab-0f/x", "/proc/1/cmdline",
    "/etc/netns/qrouter-1", "/var/run/frr/ab-0f", "/etc/netns/qdhcp-1/resolv.conf", "1M", "10",
    "/tmp/openstack-vfs-localfs1/etc/passwd", "/tmp/openstack-vfs-localfs1/etc/shadow", "blkio:x",
    "rm -f /a/*.conf", "echo 'x' > /a", "/dev/mapper/crypt-x", "/dev/mapper/ip-1-iscsi-iqn1",
    "/usr/lib/frr/frrinit.sh start ab-0f > /dev/null 2>&1", "/dev/disk/by-path/ip-1-iscsi-iqn1",
    "/usr/lib/frr/frrinit.sh restart ab-0f > /dev/null 2>&1", "root", "/x/y",
    "/dev/mapper/ip-1-iscsi-iqn.2010-10.org.openstack:volume-1",
    "/dev/disk/by-path/ip-1-iscsi-iqn.2010-10.org.openstack:volume-1",
)  # fmt: skip


def _word(param: Param, number: int) -> object:
    from privmigrate.argv.word import value_test

    if param.kind is Kind.PID:
        return 4000 + number
    if param.kind is Kind.VARIABLE:
        return "v"
    if isinstance(param.spec, specs.Choice):
        return param.spec.values[number % len(param.spec.values)]
    assert param.spec is not None
    test = value_test(param.spec)
    fitting = [word for word in _PLAUSIBLE if test(word) is None]
    return fitting[number % len(fitting)] if fitting else "nothing fits"


# rules of our own making, odder than any that exist

_PIECES = st.sampled_from(
    ("a", "b", "/", ".", r"\.", "-", "=", ":", "x?", r"\d", r"\d+", "[0-9]", "[^/]", "[^/]+", ".*", ".+",
     r"\S+", "(a|b)", "(-x|-y)", "a|b", "(?!\\.\\.)", "^", "$", "[ab]{2}", r"\w", "é", " ", "(a b)?",
     "/dev/", "/tmp/", "--opt", "k=", "[a-]", "(?i)x", r"\n", r"\s", "'", '"', "{", "}", "\\\\")
)  # fmt: skip
_PATTERNS = st.lists(_PIECES, min_size=1, max_size=4).map("".join)
_NAMES = st.sampled_from(
    ("cat", "kill", "ip", "ls", "4xx", "mkfs.ext4", "class", "x-y", "env", "run")
)
_EXECUTABLES = _NAMES | st.sampled_from(
    ("/bin/cat", "/usr/bin/x", "/bin/kill", "/sbin/ip", "/usr/bin/env", "/opt/env/run", "/opt/a=b")
)
_USERS = st.sampled_from(("root", "root", "root", "nobody", "nova"))
_VARIABLES = st.sampled_from(("A=", "A=1", "B=", "PATH=", "LC_ALL=C", "class=", "x-y=", "B=2"))


@st.composite
def definitions(draw: st.DrawFn) -> str:
    """One line of a .filters file."""
    name = draw(_NAMES | st.text(string.ascii_letters + "._-", min_size=1, max_size=6))
    executable, user = draw(_EXECUTABLES), draw(_USERS)
    match draw(st.sampled_from(("Command", "RegExp", "RegExp", "RegExp", "Path", "Env", "Kill",
                                "ReadFile", "Ip", "Netns", "Chain"))):  # fmt: skip
        case "Command":
            values = ["CommandFilter", executable, user]
        case "RegExp":
            first = draw(st.sampled_from((executable.rpartition("/")[2], executable, "a|b", ".*")))
            values = [
                "RegExpFilter",
                executable,
                user,
                first,
                *draw(st.lists(_PATTERNS, max_size=4)),
            ]
        case "Path":
            paths = st.sampled_from(
                ("pass", "/", "/tmp", "/tmp/", "/etc/x", "word", "/a/../b", "-v")
            )
            values = ["PathFilter", executable, user, *draw(st.lists(paths, max_size=4))]
        case "Env":
            words = draw(st.lists(_VARIABLES, max_size=3)) + draw(st.lists(_NAMES, max_size=3))
            values = ["EnvFilter", executable, user, *words]
        case "Kill":
            programs = st.sampled_from(("/bin/x", "/usr/bin/x", "x", "python3", "python3.11"))
            signals = st.sampled_from(("-9", "-KILL", "-HUP", "-15", "9", "-NONE", "-SIGTERM"))
            values = ["KillFilter", user, draw(programs), *draw(st.lists(signals, max_size=3))]
        case "ReadFile":
            values = ["ReadFileFilter", draw(st.sampled_from(("/etc/x", "x", "/a b", "/")))]
        case "Ip":
            values = ["IpFilter", draw(st.sampled_from(("ip", "/sbin/ip", "x"))), user]
        case "Netns":
            values = ["IpNetnsExecFilter", draw(st.sampled_from(("ip", "/sbin/ip", "nc"))), user]
        case _:
            program = draw(st.sampled_from(("ionice", "nice")))
            words = draw(
                st.lists(st.sampled_from(("-c[0-3]", "-n[0-7]", r"-n\d+", ".+")), max_size=2)
            )
            values = ["ChainingRegExpFilter", program, user, program, *words]
    return f"{name}: {', '.join(values)}"


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    """A file: unrelated rules, variables of one command, or one command and a prefix."""
    match draw(st.sampled_from(("rules", "variables", "prefix"))):
        case "rules":
            return draw(st.lists(definitions(), min_size=1, max_size=8))
        case "variables":
            variables = st.lists(_VARIABLES, min_size=1, max_size=3)
            words = draw(st.lists(variables, min_size=2, max_size=4))
            return [f"x{n}: EnvFilter, env, root, {', '.join(w)}, x" for n, w in enumerate(words)]
        case _:
            user = draw(_USERS)
            prefix = st.sampled_from(
                (f"IpNetnsExecFilter, ip, {user}", f"ChainingRegExpFilter, nice, {user}, nice, -.*")
            )
            runs = st.sampled_from(
                (f"IpFilter, x, {user}", f"IpFilter, ip, {user}", f"CommandFilter, x, {user}",
                 f"RegExpFilter, /opt/x, {user}, y|x", f"RegExpFilter, /opt/x, {user}, /opt/x",
                 f"PathFilter, x, {user}, pass, /tmp", f"EnvFilter, env, {user}, A=, x",
                 "CommandFilter, x, daemon")
            )  # fmt: skip
            return [f"prefix: {draw(prefix)}", f"runs: {draw(runs)}", draw(definitions())]


_NUMBERS = itertools.count()


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data(), lines=files())
def test_made_up_rules_allow_whatever_their_entrypoints_run(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, lines: list[str]
) -> None:
    rules = rules_of("\n".join(lines))
    package = f"made{next(_NUMBERS)}"
    world = World(rules, package, whole=True)
    assume(world.conversion.ops)
    with imported(world.conversion, package, tmp_path_factory.mktemp("made")):
        for op in world.conversion.ops:
            for _ in range(3):
                world.check(op, *data.draw(calls(op)))
