"""What becomes of each filter class, and of what its author cannot have meant."""

import pytest

from privmigrate.argv.check import accepts
from privmigrate.argv.spec import AbsolutePath, Any, Choice, Int, Matches, PathWithin
from privmigrate.convert.operation import (
    Cat,
    Environment,
    Fate,
    Hole,
    Kill,
    Lit,
    Op,
    Outcome,
    Prefix,
    Width,
)
from tests.convert.packages import converted


def op_of(definition: str) -> Op:
    """The one operation that a definition becomes."""
    (op,) = converted(definition).ops
    return op


def outcome_of(definition: str) -> Outcome:
    conversion = converted(definition)
    assert conversion.ops == ()
    assert conversion.prefixes == ()
    (outcome,) = conversion.outcomes
    return outcome


def prefix_of(definition: str) -> Prefix:
    (prefix,) = converted(definition).prefixes
    return prefix


def test_a_command_filter_stays_as_wide_as_it_was() -> None:
    op = op_of("chown: CommandFilter, chown, root")
    assert op.rest is not None
    assert op.rest.spec == Any()
    assert (op.width, op.stdin, op.words) == (Width.WIDE, True, ())


def test_words_that_rootwrap_ignores_are_reported() -> None:
    op = op_of("drv: CommandFilter, /opt/drv_cfg, root, /opt/drv_cfg, --query_guid")
    assert op.rest is not None
    assert any("ignores '/opt/drv_cfg --query_guid'" in remark for remark in op.remarks)


def test_a_comment_with_a_command_line_is_offered() -> None:
    op = op_of(
        "# x/lvm.py: 'lvcreate', '-n', self.name, vg\nlvcreate: CommandFilter, lvcreate, root"
    )
    assert "its comment has 'lvcreate -n NAME VG'" in op.remarks[0]


def test_words_of_a_regexp_filter() -> None:
    op = op_of(r"x: RegExpFilter, find, root, find, /[^/]*, -maxdepth, \d+, -type, (f|d), -x=\S+")
    assert op.words == (
        Hole(0), Lit("-maxdepth"), Hole(1), Lit("-type"), Hole(2), Hole(3, "-x=")
    )  # fmt: skip
    specs = [param.spec for param in op.params]
    assert specs == [AbsolutePath(components=1), Int(), Choice(("f", "d")), Matches(r"\S+")]
    assert op.width is Width.EXACT


@pytest.mark.parametrize(
    ("pattern", "narrower"),
    [
        (".+", "no operand begins with -"),
        (r"[^/]+", "no operand begins with -"),
        ("net.ipv4", "an unescaped dot is a dot"),
        ("/dev/.+", "no component of a path begins with two dots"),
    ],
)
def test_where_a_pattern_is_read_more_narrowly_it_is_said(pattern: str, narrower: str) -> None:
    op = op_of(f"x: RegExpFilter, x, root, x, {pattern}")
    assert op.narrower == (narrower,)
    assert op.width is Width.NARROWED


def test_flags_stay_in_front() -> None:
    op = op_of("x: RegExpFilter, x, root, x, (?i)[^/]+x")
    assert op.params[0].spec == Matches("(?i)(?!-)(?:[^/]+x)")


def test_a_value_that_depends_on_its_key_stays_with_it() -> None:
    """Alone, ``(a b)?^`` matches the empty text; behind ``k=`` it matches nothing."""
    op = op_of("x: RegExpFilter, x, root, x, k=(a b)?^")
    assert op.words == (Hole(0),)
    assert op.params[0].spec == Matches("k=(a b)?^")


def test_a_pattern_that_speaks_of_dashes_may_begin_with_one() -> None:
    op = op_of("x: RegExpFilter, x, root, x, [a-z-]+")
    assert op.params[0].spec == Matches("[a-z-]+")


def test_an_optional_second_word_inside_one_word_stays_one_word() -> None:
    op = op_of("x: RegExpFilter, ionice, root, ionice, -c[0-1]( -n[0-1])?, dd")
    assert op.words == (Hole(0, "-c"), Lit("dd"))
    assert op.params[0].spec == Choice(("0 -n0", "0 -n1", "0", "1 -n0", "1 -n1", "1"))


def test_what_runs_is_the_executable_whatever_the_first_pattern_says() -> None:
    op = op_of("x: RegExpFilter, /opt/runs, root, called|other, -v")
    assert (op.command, op.candidates, op.called_as) == ("runs", ("/opt/runs",), "called")
    assert not op.chainable


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        ("x: RegExpFilter, x, root", "has no pattern for the command's own name"),
        ("x: RegExpFilter, chown, root, chown root:root /x/.*", "commas are missing"),
        ("x: RegExpFilter, x, root, [a-c]y+", "does not match x"),
        ("x: PathFilter, x, root", "without one no argument is allowed"),
        (r"x: PathFilter, x, root, /etc/(?!\.\.).*", "patterns need RegExpFilter"),
        ("x: PathFilter, x, root, /a/../b", "no real path begins with"),
        ("x: PathFilter, x, root, //a", "no real path begins with"),
        ("x: PathFilter, x, root, x, /a", "expects 'x' as first argument too"),
        ("x: EnvFilter, env, root, x", "names no variable"),
        ("x: EnvFilter, /opt/a=b, root, A=", "cannot be told from a variable"),
        ("x: CommandFilter, x, --query_guid", "which no system has"),
        ("x: CommandFilter, x, 1000", "which no system has"),
        ("x: CommandFilter, /bin/, root", "which is no executable"),
        ("x: KillFilter, root, bin/x", "a path must be absolute"),
        ("x: KillFilter, root, /bin/x, -NONE, 9", "names no signal that there is"),
        ("x: ChainingFilter, x, root", "never finds a command to chain"),
        ("x: IpNetnsExecFilter, ip, nova", "allows nothing as nova"),
    ],
)
def test_rules_that_allow_nothing_are_found_dead(definition: str, why: str) -> None:
    outcome = outcome_of(definition)
    assert outcome.fate is Fate.DEAD
    assert why in outcome.why


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        (r"x: RegExpFilter, x, root, x, (a)\1", r"word 1 ((a)\1): it has"),
        ("x: IpNetnsExecFilter, ncat, root", "runs 'ncat netns exec NAME COMMAND'"),
        ("x: ChainingRegExpFilter, nice, root", "takes every command's name away"),
        ("x: EnvFilter, env, root, A=, A=, x", "names a variable twice"),
        ("x: KillFilter, nova, /bin/x, -9", "may signal its own processes only"),
        ("x: ReadFileFilter, etc/x", "depends on the caller's working directory"),
        ("x: CommandFilter, bin/x, root", "looked up in every folder of exec_dirs"),
    ],
)
def test_rules_that_allow_what_cannot_be_had_safely_are_refused(definition: str, why: str) -> None:
    outcome = outcome_of(definition)
    assert outcome.fate is Fate.REFUSED
    assert why in outcome.why


@pytest.mark.parametrize(
    "definition",
    [
        "p: RegExpFilter, privsep-helper, root, privsep-helper, --config-file, /etc/.*",
        "p: PathFilter, privsep-helper, root, --config-file, /etc",
        "p: CommandFilter, /usr/bin/privsep-helper, root",
        "p: EnvFilter, env, root, A=, privsep-helper",
    ],
)
def test_the_start_of_a_context_is_no_command(definition: str) -> None:
    assert outcome_of(definition).fate is Fate.INFRASTRUCTURE


def test_a_path_filter_holds_paths_in_their_folder() -> None:
    op = op_of("x: PathFilter, chown, root, pass, nova, /var/lib/images")
    assert op.words == (Hole(0), Lit("nova"), Hole(1))
    specs = [param.spec for param in op.params]
    assert specs == [Any(operand=True, newline=False), PathWithin("/var/lib/images")]


def test_an_env_filter_takes_its_variables_by_name() -> None:
    op = op_of("x: EnvFilter, env, root, LC_ALL=C, B=, A=, lvs")
    assert op.environment == Environment((("LC_ALL", "C"),), (("A", "B"),))
    assert [(param.text, param.keyword, param.optional) for param in op.params] == [
        ("A", True, False), ("B", True, False)
    ]  # fmt: skip
    assert (op.command, op.width) == ("lvs", Width.WIDE)


def test_an_env_filter_counts_the_words_that_it_does_not_check() -> None:
    op = op_of("x: EnvFilter, env, root, A=, haproxy, -f, .*")
    assert op.rest is not None
    assert op.rest.minimum == 2
    assert "rootwrap does not check '-f .*', only that as many words are there" in op.remarks


@pytest.mark.parametrize("variable", ["PATH", "LD_LIBRARY_PATH", "LD_ANYTHING", "PYTHONPATH"])
def test_variables_that_decide_what_runs_are_reported(variable: str) -> None:
    op = op_of(f"x: EnvFilter, env, root, {variable}=, x")
    assert f"whoever sets {variable} decides what runs" in op.remarks


@pytest.mark.parametrize(
    ("written", "signals"),
    [
        ("", ("TERM",)),
        (", -9, -HUP", ("HUP", "KILL")),
        (", -15, -TERM, -SIGTERM", ("TERM",)),
        (", -2, 9, -NONE", ("INT",)),
    ],
)
def test_a_kill_filter_sends_its_signals_natively(written: str, signals: tuple[str, ...]) -> None:
    op = op_of(f"kill_x: KillFilter, root, /usr/sbin/x{written}")
    assert op.native == Kill(("/usr/sbin/x",))
    assert op.params[1].spec == Choice(signals)


def test_an_interpreter_is_no_program() -> None:
    op = op_of("kill_meta: KillFilter, root, /usr/bin/python3.11, -9")
    assert op.remarks == ("an interpreter: every program that runs in it can be hit",)


def test_a_file_is_read_natively() -> None:
    op = op_of("read_it: ReadFileFilter, /etc/iscsi/initiatorname.iscsi")
    assert (op.native, op.params, op.rest) == (Cat("/etc/iscsi/initiatorname.iscsi"), (), None)


def test_an_ip_filter_executes_nothing_else() -> None:
    op = op_of("ip: IpFilter, /sbin/ip, root")
    assert op.rest is not None
    spec = op.rest.spec
    assert isinstance(spec, Matches)
    assert (op.called_as, op.chainable) == ("ip", True)
    refused = ("e", "ex", "exe", "exec", "-b", "-ba", "-batch", "--b", "--batch")
    assert not [word for word in refused if accepts(spec, word)]
    assert all(accepts(spec, word) for word in ("link", "-br", "-brief", "ba", "-n", "executor"))


def test_an_ip_filter_is_asked_for_ip_whatever_it_runs() -> None:
    op = op_of("ip: IpFilter, /opt/other, root")
    assert (op.called_as, op.chainable) == ("ip", False)


def test_a_chain_is_a_prefix() -> None:
    prefix = prefix_of("i: ChainingRegExpFilter, ionice, root, ionice, -c[0-3]")
    assert prefix.words == (Hole(0, "-c"),)
    assert prefix.params[0].spec == Choice(("0", "1", "2", "3"))


def test_entering_a_namespace_is_a_prefix_of_the_runtime() -> None:
    prefix = prefix_of("i: IpNetnsExecFilter, ip, root")
    assert (prefix.namespace, prefix.name) == (True, "Netns")


def test_a_command_of_another_user_runs_as_that_user() -> None:
    op = op_of("x: RegExpFilter, id, nobody, id, -u")
    assert op.run_as == "nobody"
    assert op.capabilities == ("CAP_SETGID", "CAP_SETUID")


def test_an_earlier_rule_with_another_user_shadows() -> None:
    conversion = converted("a: CommandFilter, cat, nobody\nb: RegExpFilter, cat, root, cat, /x")
    (outcome,) = conversion.outcomes
    assert outcome.fate is Fate.SHADOWED
    assert outcome.why == "'a' in line 2 takes every such command line first, as nobody"


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ("RegExpFilter, cat, nobody, cat", "CommandFilter, cat, root", True),
        ("RegExpFilter, cat, nobody, cat, /a", "RegExpFilter, cat, root, cat, /a", True),
        ("RegExpFilter, cat, nobody, cat, /.*", "RegExpFilter, cat, root, cat, /a", True),
        ("RegExpFilter, cat, nobody, cat, /a", "RegExpFilter, cat, root, cat, /.*", True),
        ("RegExpFilter, x, nobody, .*, /a", "RegExpFilter, cat, root, cat, /a", True),
        ("PathFilter, cat, nobody, pass", "RegExpFilter, cat, root, cat, /a", True),
        ("EnvFilter, env, nobody, A=, cat", "EnvFilter, env, root, A=1, cat", True),
        ("IpFilter, ip, nobody", "IpFilter, /sbin/ip, root", True),
        ("RegExpFilter, cat, nobody, cat, /a", "RegExpFilter, cat, root, cat, /b", False),
        ("RegExpFilter, cat, nobody, cat, /a", "RegExpFilter, cat, root, cat, /a, /b", False),
        ("RegExpFilter, cat, nobody, cat, k", "RegExpFilter, cat, root, cat, /.*", False),
        ("EnvFilter, env, nobody, A=, cat", "EnvFilter, env, root, B=, cat", False),
        ("EnvFilter, env, nobody, A=, cat", "CommandFilter, cat, root", False),
        ("CommandFilter, cat, nobody", "CommandFilter, /bin/cat, root", False),
        ("RegExpFilter, cat, nobody, cat", "CommandFilter, tac, root", False),
    ],
)
def test_what_an_earlier_rule_may_take_for_another_user_is_refused(
    first: str, second: str, *, refused: bool
) -> None:
    conversion = converted(f"a: {first}\nb: {second}")
    assert [op.run_as for op in conversion.ops] == ["nobody"] + ["root"] * (not refused)
    assert {outcome.fate for outcome in conversion.outcomes} <= {Fate.REFUSED, Fate.SHADOWED}
    assert len(conversion.outcomes) == refused
    assert all("as nobody" in outcome.why for outcome in conversion.outcomes)


def test_env_itself_is_not_reached_behind_an_env_filter() -> None:
    conversion = converted("a: EnvFilter, env, root, A=, x\nb: CommandFilter, env, root")
    (outcome,) = conversion.outcomes
    assert outcome.fate is Fate.SHADOWED
    assert "takes 'env' away from every command line" in outcome.why


def test_a_later_rule_of_the_same_name_shadows() -> None:
    conversion = converted("x: CommandFilter, a, root\nX: CommandFilter, b, root")
    assert [op.command for op in conversion.ops] == ["b"]
    (outcome,) = conversion.outcomes
    assert (outcome.fate, outcome.source.line) == (Fate.SHADOWED, 2)
    assert outcome.why == "a later entry in line 3 has the same name"


def test_an_unknown_class_is_skipped_and_reported() -> None:
    outcome = outcome_of("x: DnsmasqFilter, /sbin/dnsmasq, root")
    assert outcome.fate is Fate.UNKNOWN


def test_a_shell_is_pointed_out() -> None:
    op = op_of("x: RegExpFilter, sh, root, sh, -c, rm -f /.*")
    assert op.width is Width.NARROWED
    assert "no value in the shell's text adds a command or an option" in op.narrower
    assert "'rm -f /.*' is one word of the command line, blanks included" in op.remarks


def test_dd_that_reads_a_file_is_not_fed() -> None:
    assert not op_of(r"x: RegExpFilter, dd, root, dd, if=\S+").stdin
    assert op_of(r"x: RegExpFilter, dd, root, dd, of=\S+").stdin
