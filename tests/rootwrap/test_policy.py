"""What a policy decides, where the comparison with oslo.rootwrap does not reach."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from oslo_rootwrap import filters as oslo
from oslo_rootwrap import wrapper

from privmigrate.diagnostics import Diagnostic, Span
from privmigrate.errors import InputError
from privmigrate.rootwrap import oracle
from privmigrate.rootwrap.command import (
    Allowed,
    Command,
    Denied,
    Failed,
    Mode,
    Near,
    NotExecutable,
)
from privmigrate.rootwrap.config import RootwrapConfig
from privmigrate.rootwrap.filters import FILTERS, bind
from privmigrate.rootwrap.index import Index
from privmigrate.rootwrap.parse import parse_filters
from privmigrate.rootwrap.policy import MAX_NEAREST, PRIVSEP_HELPER, Policy
from privmigrate.rootwrap.rule import Rule
from tools.made_filters import HEADS, World, make_world


def rules_of(*definitions: str) -> tuple[Rule, ...]:
    text = "\n".join(["[Filters]", *definitions, ""])
    parsed = parse_filters(text.encode(), "x.filters")
    assert parsed.errors == ()
    return parsed.rules


def policy_of(*definitions: str, dirs: tuple[str, ...] = ("/bin", "/usr/bin")) -> Policy:
    return Policy.from_rules(rules_of(*definitions), dirs)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


# -- outcomes -------------------------------------------------------------------------------------


def test_an_allowed_command_is_resolved_and_says_by_what() -> None:
    policy = policy_of("t: EnvFilter, env, disks, A=, B=, true")
    assert policy.decide(("env", "B=2", "A=", "true", "-x")) == Allowed(
        Command("/bin/true", ("/bin/true", "-x"), (("B", "2"),), "disks"),
        "t",
        Span("x.filters", 2, 1, 2),
    )


def test_variables_are_put_on_top_of_the_callers() -> None:
    command = Command("/bin/true", ("/bin/true",), (("A", "2"), ("B", "3")))
    assert command.merged({"A": "1", "C": "4"}) == {"A": "2", "B": "3", "C": "4"}


def test_a_missing_executable_is_an_outcome_and_the_first_one_is_told() -> None:
    policy = policy_of("a: CommandFilter, /absent/true, root", "b: CommandFilter, /gone/true, root")
    for mode in Mode:
        assert policy.decide(("true",), mode) == NotExecutable(
            "/absent/true", "a", Span("x.filters", 2, 1, 2)
        )


def test_another_filter_is_taken_where_the_first_has_no_executable() -> None:
    policy = policy_of("a: CommandFilter, /absent/true, root", "b: CommandFilter, true, root")
    for mode in Mode:
        decision = policy.decide(("true",), mode)
        assert isinstance(decision, Allowed)
        assert decision.name == "b"


def test_what_ends_oslo_rootwrap_is_an_outcome() -> None:
    policy = policy_of("p: PathFilter, ls, root, /srv", "k: CommandFilter, true, root")
    decision = policy.decide(("true", "a\0b"))
    assert decision == Failed("ValueError", "embedded null byte", "p", Span("x.filters", 2, 1, 2))


def test_a_refusal_names_the_filters_for_the_command_and_why() -> None:
    policy = policy_of(
        "a: RegExpFilter, sleep, root, sleep, [0-9]+",
        "b: RegExpFilter, sleep, root, sleep, infinity",
        "c: CommandFilter, ls, root",
    )
    assert policy.decide(("sleep", "x")) == Denied(
        "none of the 2 filters for 'sleep' allows these words",
        (
            Near("a", Span("x.filters", 2, 1, 2), "word 1, 'x', does not match [0-9]+"),
            Near("b", Span("x.filters", 3, 1, 3), "word 1, 'x', does not match infinity"),
        ),
    )
    assert policy.decide(("reboot",)) == Denied("no filter is about 'reboot'")
    assert policy.decide(()) == Denied("no command was given")


def test_a_refusal_names_a_few_filters_only() -> None:
    policy = policy_of(*(f"f{n}: RegExpFilter, sleep, root, sleep, {n}" for n in range(50)))
    decision = policy.decide(("sleep", "x"))
    assert isinstance(decision, Denied)
    assert len(decision.nearest) == MAX_NEAREST
    assert "none of the 50 filters" in decision.why


def test_an_unusable_pattern_is_named_in_a_refusal() -> None:
    decision = policy_of("a: RegExpFilter, sleep, root, sleep, (x").decide(("sleep", "x"))
    assert isinstance(decision, Denied)
    assert "the pattern '(x' cannot be used" in decision.nearest[0].why


@pytest.mark.parametrize("pattern", ["(" + "x" * 9000, "(a|b)" * 2000], ids=["broken", "other"])
def test_a_long_pattern_is_not_repeated_in_a_refusal(pattern: str) -> None:
    decision = policy_of(f"a: RegExpFilter, sleep, root, sleep, {pattern}").decide(("sleep", "x"))
    assert isinstance(decision, Denied)
    assert f"{pattern[:50]}" in decision.nearest[0].why
    assert len(decision.nearest[0].why) < 300


def test_the_privsep_helper_is_allowed_last() -> None:
    policy = policy_of("p: CommandFilter, privsep-helper, disks")
    assert policy.rules[-1] == PRIVSEP_HELPER
    assert isinstance(policy.decide(("privsep-helper", "--any")), NotExecutable)
    assert policy_of().rules == (PRIVSEP_HELPER,)


# -- strict mode is a part of exact mode ----------------------------------------------------------


def test_strict_mode_does_not_fall_through_to_a_filter_with_more_rights() -> None:
    """Exact mode takes the first filter, as another user; the second one would run as root."""
    policy = policy_of(
        "a: RegExpFilter, true, disks, true, x|y",
        "b: RegExpFilter, true, root, true, .*",
    )
    argv = ("true", "x and more")
    exact = policy.decide(argv)
    assert isinstance(exact, Allowed)
    assert exact.command.run_as == "disks"
    assert isinstance(policy.decide(argv, Mode.STRICT), Denied)
    assert isinstance(policy.decide(("true", "z"), Mode.STRICT), Allowed)


def test_strict_mode_takes_another_filter_that_runs_the_same() -> None:
    policy = policy_of(
        "a: RegExpFilter, true, root, true, x|y", "b: RegExpFilter, true, root, true, .*"
    )
    decision = policy.decide(("true", "x and more"), Mode.STRICT)
    assert isinstance(decision, Allowed)
    assert decision.name == "b"


def test_strict_mode_ends_where_exact_mode_ends() -> None:
    policy = policy_of("p: PathFilter, ls, root, /srv", "k: CommandFilter, true, root")
    decision = policy.decide(("true", "\ud800"), Mode.STRICT)
    assert isinstance(decision, Failed)
    assert decision.error == "UnicodeEncodeError"


@pytest.mark.parametrize(
    "before",
    [
        ("a: RegExpFilter, true, root, true, x{99999999999999999999}",),
        (
            "c: ChainingRegExpFilter, true, root, true",
            "l: RegExpFilter, x, root, x{99999999999999999999}",
        ),
    ],
)
def test_strict_mode_ends_where_a_pattern_ends_exact_mode(before: tuple[str, ...]) -> None:
    policy = policy_of(*before, "b: CommandFilter, true, root")
    for mode in Mode:
        decision = policy.decide(("true", "x"), mode)
        assert isinstance(decision, Failed)
        assert decision.error == "OverflowError"


@pytest.mark.parametrize(
    ("leaf", "behind", "allowed"),
    [
        ("RegExpFilter, true, root, .*, -x", ("/srv/evil", "-x"), False),
        ("RegExpFilter, true, root, .*, -x", ("true", "-x"), True),
        ("RegExpFilter, true, root, .*, -x", ("/bin/true", "-x"), True),
        ("CommandFilter, /bin/true, root", ("/usr/bin/true",), False),
        ("CommandFilter, /bin/true, root", ("true",), True),
        ("EnvFilter, env, root, A=, true", ("env", "A=1", "true"), True),
        ("EnvFilter, env, root, A=, true", ("A=1", "true"), False),
        ("EnvFilter, env, root, A=, true", ("/srv/env", "A=1", "true"), False),
        ("CommandFilter, absent, root", ("absent",), False),
        ("RegExpFilter, true, root, true, (x", ("true", "(x"), False),
    ],
)
def test_a_chained_command_is_checked_as_it_will_run(
    leaf: str,
    behind: tuple[str, ...],
    allowed: bool,  # noqa: FBT001 - a column
) -> None:
    policy = policy_of("n: ChainingRegExpFilter, nice, root, nice, -n, 5", f"l: {leaf}")
    decision = policy.decide(("nice", "-n", "5", *behind), Mode.STRICT)
    assert isinstance(decision, Allowed) == allowed


def test_a_pattern_behind_a_chain_does_not_blow_up_either() -> None:
    """The chain before it runs the same, so its leaf need not be asked by `re`."""
    policy = policy_of(
        "c: ChainingRegExpFilter, nice, root, nice, -n, 5",
        "l: RegExpFilter, mkdir, root, mkdir, /([a-z]+/?)*",
        "n: CommandFilter, nice, root",
    )
    argv = ("nice", "-n", "5", "mkdir", "/" + "a" * 60 + "0")
    before = time.monotonic()
    decision = policy.decide(argv, Mode.STRICT)
    assert time.monotonic() - before < 5
    assert isinstance(decision, Allowed)
    assert decision.name == "n"


# -- a fresh process per decision -----------------------------------------------------------------


def test_an_executable_is_looked_up_for_every_decision(tmp_path: Path) -> None:
    """oslo.rootwrap's daemon keeps what it found first; its command line cannot."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (second / "tool").symlink_to("/bin/true")
    policy = policy_of("t: CommandFilter, tool, root", dirs=(str(first), str(second)))

    def executable() -> str | None:
        decision = policy.decide(("tool",))
        return decision.command.executable if isinstance(decision, Allowed) else None

    assert executable() == str(second / "tool")
    (first / "tool").symlink_to("/bin/true")
    assert executable() == str(first / "tool")
    (first / "tool").unlink()
    (second / "tool").unlink()
    assert executable() is None


def test_many_threads_may_decide_at_once() -> None:
    policy = policy_of(
        *(f"s{n}: RegExpFilter, sleep, root, sleep, {n}" for n in range(20)),
        "e: EnvFilter, env, root, A=, true",
    )
    wrong: list[object] = []

    def decide() -> None:
        for number in range(100):
            n = number % 20
            decision = policy.decide(("sleep", str(n)), Mode.STRICT)
            if not (isinstance(decision, Allowed) and decision.name == f"s{n}"):
                wrong.append(decision)
            if not isinstance(policy.decide(("env", "A=1", "true")), Allowed):
                wrong.append("env")

    threads = [threading.Thread(target=decide) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_deciding_leaves_the_argv_alone() -> None:
    argv = ["env", "env", "A=1", "true"]
    policy_of("e: EnvFilter, env, root, A=, true", "f: EnvFilter, env, root, A=, true").decide(argv)
    assert argv == ["env", "env", "A=1", "true"]


# -- the caller's environment ---------------------------------------------------------------------


def test_kill_looks_at_the_callers_path(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every program, process and PATH: with the caller's PATH as oslo.rootwrap in its process."""
    argvs = [("kill", "-9", pid) for pid in world.pids]
    paths = (*world.path_variables, None, ":", f"/:{world.exec_dirs[1]}", ".")
    seen: set[tuple[str, bool]] = set()
    for program in (*world.programs, "", "sbin/dnsmasq", "/"):
        (rule,) = rules_of(f"k: KillFilter, root, {program}, -9")
        ours, theirs = oracle.build(rule), oslo.KillFilter("root", program, "-9")
        for path in paths:
            environ = {} if path is None else {"PATH": path}
            with monkeypatch.context() as patch:
                patch.delenv("PATH")
                if path is not None:
                    patch.setenv("PATH", path)
                answers = [theirs.match(list(argv)) for argv in argvs]
            assert [oracle.matches(ours, list(argv), environ) for argv in argvs] == answers
            seen.update((program, answer) for answer in answers)
    assert ("dnsmasq", True) in seen
    assert ("dnsmasq", False) in seen


def test_a_process_that_names_itself_counts_by_path_only_where_its_executable_is_gone(
    world: World,
) -> None:
    renamed = world.pids[3]
    (rule,) = rules_of(f"k: KillFilter, root, {world.exec_dirs[1]}/dnsmasq, -9")
    asked = oracle.build(rule)
    argv = ["kill", "-9", renamed]
    assert oracle.matches(asked, argv, {"PATH": world.exec_dirs[1]})
    assert not oracle.matches(asked, argv, {"PATH": "/nowhere"})
    # strict mode never believes it
    bound = bind(rule)
    assert not isinstance(bound, Diagnostic)
    assert isinstance(bound.decide(tuple(argv)), Denied)


def test_exec_dirs_are_the_callers_path_unless_given(tmp_path: Path) -> None:
    (tmp_path / "tool").symlink_to("/bin/true")
    rules = rules_of("t: CommandFilter, tool, root")
    environ = {"PATH": f"/nowhere:{tmp_path}"}
    own = Policy(rules, ("/nowhere",), exec_dirs_given=False)
    assert isinstance(own.decide(("tool",)), NotExecutable)
    assert isinstance(own.decide(("tool",), environ=environ), Allowed)
    assert isinstance(own.decide(("tool",), environ={}), NotExecutable)
    given = Policy(rules, ("/nowhere",))
    assert isinstance(given.decide(("tool",), environ=environ), NotExecutable)


# -- loading --------------------------------------------------------------------------------------


def test_a_policy_is_loaded_from_its_folders(tmp_path: Path) -> None:
    (tmp_path / "b.filters").write_text("[Filters]\nx: CommandFilter, true, b\n")
    (tmp_path / "a.filters").write_text("[Filters]\nx: CommandFilter, true, a\ny: No, a\n")
    config = RootwrapConfig((str(tmp_path), "/nowhere"), ("/bin",))
    policy = Policy.load(config)
    assert [rule.texts for rule in policy.rules[:-1]] == [("true", "a"), ("true", "b")]
    assert [d.code for d in policy.diagnostics] == ["unknown-filter-class", "no-such-folder"]
    decision = policy.decide(("true",))
    assert isinstance(decision, Allowed)
    assert decision.command.run_as == "a"


def test_a_policy_that_oslo_rootwrap_could_not_load_is_refused_with_every_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.filters").write_text("[Filters]\nx: CommandFilter, true\n")
    (tmp_path / "b.filters").write_text("nonsense\n")
    with pytest.raises(InputError) as caught:
        Policy.load(RootwrapConfig((str(tmp_path),)))
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path}/a.filters:2:1: error: x: CommandFilter needs")
    assert second.startswith(f"{tmp_path}/b.filters:1:1: error: 'nonsense' stands before any")


def test_every_class_of_oslo_rootwrap_is_known_to_all_three_tables() -> None:
    for name in FILTERS:
        asked = wrapper.build_filter(name, "a", "b", "c")
        (rule,) = rules_of(f"x: {name}, a, b, c")
        assert type(oracle.build(rule)) is type(asked)
        assert type(bind(rule)) is FILTERS[name]
    classes = {n for n, c in vars(oslo).items() if isinstance(c, type) and n.endswith("Filter")}
    assert classes == set(FILTERS)


def test_a_rule_that_can_never_allow_anything_is_a_diagnostic() -> None:
    parsed = parse_filters(
        b"[Filters]\na: No, x\nb: CommandFilter, x\nc: KillFilter, root\n"
        b"d: RegExpFilter, x, root, x, (\n", "x",
    )  # fmt: skip
    bound = [bind(rule) for rule in parsed.rules]
    assert [one.code if isinstance(one, Diagnostic) else one for one in bound] == [
        "unknown-filter-class", "too-few-values", "no-program", "unusable-pattern",
    ]  # fmt: skip
    assert isinstance(bound[3], Diagnostic)
    assert str(bound[3].span) == "x:5:30"


# -- the index ------------------------------------------------------------------------------------


def test_a_pattern_too_deep_for_re_ends_both_for_every_word() -> None:
    """RecursionError is no re.error, so oslo.rootwrap does not take it for a refusal."""
    pattern = "x" + "(" * 3000 + ")" * 3000
    policy = policy_of(f"a: RegExpFilter, ls, root, {pattern}", "b: CommandFilter, true, root")
    decision = policy.decide(("true",))
    with pytest.raises(RecursionError):
        oslo.RegExpFilter("ls", "root", pattern).match(["true"])
    assert isinstance(decision, Failed)
    assert (decision.error, decision.name) == ("RecursionError", "a")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["RegExpFilter", "ChainingRegExpFilter"])
def test_every_filter_that_matches_or_raises_is_a_candidate(name: str, head: str) -> None:
    words = {word for words in HEADS.values() for word in words} | {"x", head}
    (rule,) = rules_of(f"a: {name}, tool, root, {head}")
    asked = oracle.build(rule)
    index = Index([(rule, asked.exec_path)])
    for word in words:
        try:
            says = asked.match([word])
        except OverflowError:
            says = True
        assert not says or list(index.candidates((word,))) == [0], word


def test_the_command_behind_variables_is_found_as_oslo_rootwrap_finds_it() -> None:
    """It counts names: behind A twice, the command is the second assignment."""
    policy = policy_of("e: EnvFilter, A=2, root, A=", "t: EnvFilter, true, root, A=")
    assert isinstance(policy.decide(("A=1", "A=2", "true")), NotExecutable)
    assert isinstance(policy.decide(("A=1", "true")), Allowed)


def test_filters_for_other_commands_are_not_candidates() -> None:
    rules = rules_of(
        *(f"c{n}: CommandFilter, tool{n}, root" for n in range(300)),
        *(f"r{n}: RegExpFilter, tool{n}, root, tool{n}, .*" for n in range(300)),
        *(f"d{n}: RegExpFilter, t.{n}, root, mkfs\\.{n}.+, .*" for n in range(300)),
        *(f"e{n}: EnvFilter, env, root, A=, tool{n}" for n in range(300)),
        *(f"p{n}: PathFilter, tool{n}, root, /" for n in range(300)),
    )
    index = Index((rule, oracle.build(rule).exec_path) for rule in rules)
    assert list(index.candidates(("tool7", "x"))) == [7, 307, 1207]
    assert list(index.candidates(("mkfs.7x", "x"))) == [607]
    assert list(index.candidates(("A=1", "tool7"))) == [907]
    assert list(index.about(("env", "A=1", "tool7"))) == [907]
    assert list(index.candidates(("env", "env", "A=1", "tool7"))) == [900, 901, 907]
    assert list(index.candidates(("tool7", "\0"))) == list(range(1500))
    assert list(index.candidates(())) == []


def test_a_word_as_long_as_a_command_line_may_be_costs_little() -> None:
    policy = policy_of("a: RegExpFilter, ls, root, ls.*, x", "e: EnvFilter, env, root, A=, true")
    before = time.monotonic()
    policy.decide(("l" * 128_000, "x"))
    policy.decide(("env",) * 50_000)
    policy.decide(("A=1",) * 50_000)
    assert time.monotonic() - before < 2


def test_the_cost_of_a_decision_does_not_grow_with_other_commands(tmp_path: Path) -> None:
    """Asked by the number of filters that are asked, which no busy machine changes."""
    asked = []
    for size in (10, 10_000):
        rules = rules_of(
            *(f"f{n}: RegExpFilter, tool{n}, root, tool{n}, .*" for n in range(size)),
            "t: CommandFilter, true, root",
        )
        index = Index((rule, oracle.build(rule).exec_path) for rule in rules)
        asked.append(len(index.candidates(("true", "x"))))
    assert asked == [1, 1]


def test_the_real_rootwrap_agrees(tmp_path: Path) -> None:
    """Its command itself, in a process of its own: what our outcomes stand for."""
    folder, conf = tmp_path / "rootwrap.d", tmp_path / "rootwrap.conf"
    folder.mkdir()
    (folder / "a.filters").write_text(
        "[Filters]\nt: CommandFilter, true, root\nm: CommandFilter, absent, root\n"
    )
    conf.write_text(f"[DEFAULT]\nfilters_path={folder}\nexec_dirs=/bin\n")
    expected = {("true",): 0, ("absent",): 96, ("reboot",): 99}
    code = "import sys; from oslo_rootwrap.cmd import main; main()"
    for argv, status in expected.items():
        done = subprocess.run(
            [sys.executable, "-c", code, str(conf), *argv], capture_output=True, check=False
        )
        assert done.returncode == status, done.stderr
    policy = policy_of(
        "t: CommandFilter, true, root", "m: CommandFilter, absent, root", dirs=("/bin",)
    )
    kinds = [type(policy.decide(argv)) for argv in expected]
    assert kinds == [Allowed, NotExecutable, Denied]
