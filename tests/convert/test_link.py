"""Which rule allows which call, and what is left of the call then."""

from dataclasses import replace

import pytest

from privmigrate.argv.spec import Int
from privmigrate.callsites.site import Reason, Site
from privmigrate.convert import Conversion
from privmigrate.convert.operation import Fate, Op, Option, Width
from privmigrate.convert.use import Form, Why
from tests.convert.sites import call, converted, each, site, template, value, when, word


def entrypoint(conversion: Conversion) -> str:
    """The text of the only function."""
    (op,) = conversion.ops
    text = conversion.texts[f"{op.module}.py"]
    return text[text.index(f"def {op.name}(") :].rstrip()


def run_line(conversion: Conversion) -> str:
    return entrypoint(conversion).partition("return ")[2].replace("\n", "").replace("  ", "")


PATH = value("path")


@pytest.mark.parametrize(
    ("rule", "made", "runs"),
    [
        ("CommandFilter, mkfs, root", call("mkfs", "-L", PATH), 'run(MKFS, "-L", label)'),
        ("CommandFilter, /sbin/lvs, root", call("lvs", "x"), 'run(LVS, "x")'),
        ("CommandFilter, /sbin/lvs, root", call("/sbin/lvs", "x"), 'run(LVS, "x")'),
        (r"RegExpFilter, ls, root, ls, -\d", call("ls", "-1"), 'run(LS, "-1")'),
        (
            r"RegExpFilter, find, root, find, /[^/]*, -inum, \d+",
            call("find", PATH, "-inum", value("inode")),
            'run(FIND, path, "-inum", inum)',
        ),
        (
            "CommandFilter, dd, root",
            call("dd", word("if=", value("src")), word("of=/dev/", value("name"))),
            'run(DD, f"if={if_file}", f"of=/dev/{of}")',
        ),
    ],
)
def test_what_a_rule_leaves_of_a_call(rule: str, made: Site, runs: str) -> None:
    assert run_line(converted(f"x: {rule}", made)) == runs


@pytest.mark.parametrize(
    ("rule", "made"),
    [
        ("CommandFilter, lvs, root", call("vgs")),
        ("CommandFilter, lvs, root", site(template("lvs", env={"LC_ALL": "C"}))),
        ("EnvFilter, env, root, LC_ALL=C, lvs", call("lvs")),
        ("EnvFilter, env, root, LC_ALL=C, lvs", site(template("lvs", env={"LANG": "C"}))),
        (r"RegExpFilter, ls, root, ls, -\d", call("ls", "-x")),
        (r"RegExpFilter, ls, root, ls, -\d", call("ls")),
        (r"RegExpFilter, ls, root, ls, /var/.*", call("ls", word("/etc/", PATH))),
        (r"RegExpFilter, ls, root, ls, \d+", call("ls", word("x", PATH))),
        ("IpFilter, ip, root", call("ip", "netns", "exec", "a", "sh")),
        ("KillFilter, root, /usr/bin/x, -9", call("kill", "-HUP", value("pid"))),
        ("ReadFileFilter, /etc/x", call("cat", "/etc/y")),
    ],
)
def test_a_call_that_no_rule_allows_stays_and_grants_nothing(rule: str, made: Site) -> None:
    conversion = converted(f"x: {rule}", made)
    assert [each.why for each in conversion.unlinked] == [Why.NO_RULE]
    assert conversion.ops == ()
    assert [each.fate for each in conversion.outcomes] == [Fate.UNUSED]


def test_a_call_through_the_services_own_privsep_needs_no_rule() -> None:
    made = call("ip", "link", privsep_exec="True")
    (stays,) = converted("x: CommandFilter, lvs, root", made).unlinked
    assert stays.why is Why.NO_RULE_NEEDED
    assert converted("x: CommandFilter, ip, root", made).uses != ()


def only(conversion: Conversion) -> Op:
    (op,) = conversion.ops
    return op


def test_words_of_the_rule_that_the_call_does_not_fill_freely() -> None:
    rule = r"x: RegExpFilter, ls, root, ls, (-l|-a), /var/lib/x/.*"
    conversion = converted(rule, call("ls", "-l", PATH))
    assert "path: Annotated[" in entrypoint(conversion)
    assert 'run(LS, "-l", path)' in entrypoint(conversion)
    assert only(conversion).width is Width.NARROWED
    exact = converted(
        r"x: RegExpFilter, ls, root, ls, (-l|-a), \d+", call("ls", value("how"), PATH)
    )
    assert 'Literal["-l", "-a"]' in entrypoint(exact)
    assert only(exact).width is Width.EXACT


def test_a_rule_for_some_values_is_what_the_call_gets() -> None:
    rules = "a: RegExpFilter, rm, root, rm, /a/.*\nb: RegExpFilter, rm, root, rm, /b/.*"
    conversion = converted(rules, site(template("rm", PATH), words="['rm', path]"))
    (use,) = conversion.uses
    assert use.form is Form.CHECKED
    text = entrypoint(conversion)
    assert 'below="/a/"' in text
    assert 'below="/b/"' in text


def test_ip_executes_nothing_else() -> None:
    rule = "ip: IpFilter, ip, root"
    free = converted(rule, call("ip", value("first"), value("second")))
    assert entrypoint(free).count(r"(?!(?:-|(?:e|ex|exe|exec)\Z)).*") == 1
    known = converted(rule, call("ip", "link", "set", value("dev"), "up"))
    assert "def ip_link_set_up(dev: Operand)" in entrypoint(known)


NETNS = (
    "ip: IpFilter, ip, root\nexec: IpNetnsExecFilter, ip, root\nsys: CommandFilter, sysctl, root"
)


def test_a_namespace_is_peeled() -> None:
    inside = site(template("ip", "link", "set", value("dev"), "up", netns="self.namespace"))
    conversion = converted(NETNS, inside)
    (use,) = conversion.uses
    assert use.under == "Netns(self.namespace)"
    assert use.imports == (("privmigrate.privsep.types", "Netns"),)
    assert "under: Netns | None = None" in entrypoint(conversion)


def test_a_namespace_that_is_there_or_not() -> None:
    words = ("sysctl", "-w", word("net.ipv4.ip_forward=", value("on", Int())))
    both = site(
        template(*words, netns="namespace", guard="namespace"),
        template(*words, guard="not namespace"),
    )
    (use,) = converted(NETNS, both).uses
    assert use.under == "Netns(namespace) if namespace else None"


def test_a_call_outside_makes_no_way_into_namespaces() -> None:
    conversion = converted(NETNS, call("sysctl", "-w", "a.b=1"))
    assert only(conversion).prefixes == ()
    assert "Netns" not in entrypoint(conversion)


def test_a_namespace_without_a_chain_is_words_of_ip() -> None:
    inside = site(template("arping", value("address"), netns="ns"))
    conversion = converted("ip: CommandFilter, ip, root", inside)
    assert run_line(conversion) == 'run(IP, "netns", "exec", ns, "arping", arping)'


def test_a_chain_of_words() -> None:
    rules = "dd: CommandFilter, dd, root\nn: ChainingRegExpFilter, ionice, root, ionice, -c[0-3]"
    made = site(template("dd", word("of=", PATH), prefix=("ionice", "-c3")))
    (use,) = converted(rules, made).uses
    assert (use.under, use.imports) == ("Ionice('3')", (("privileged.common", "Ionice"),))


def test_variables_are_pinned_where_the_call_pins_them() -> None:
    rule = "x: EnvFilter, env, root, LC_ALL=C, LANG=, lvs"
    made = site(template("lvs", value("vg"), env={"LC_ALL": "C", "LANG": value("lang")}))
    conversion = converted(rule, made)
    assert 'env=environment({"LC_ALL": "C"}, LANG=lang)' in run_line(conversion)
    (use,) = conversion.uses
    assert [(each.name, each.source) for each in use.arguments] == [("vg", "vg"), ("lang", "lang")]


def test_kill_hits_the_programs_of_the_rules_that_send_this_signal() -> None:
    rules = (
        "kill_a: KillFilter, root, /usr/sbin/radvd, -9\n"
        "kill_b: KillFilter, root, /usr/sbin/haproxy, -9\n"
        "kill_dnsmasq: KillFilter, root, /usr/sbin/dnsmasq, -HUP"
    )
    conversion = converted(rules, call("kill", "-9", value("pid")))
    assert run_line(conversion) == (
        'natives.kill(pid, signal, "/usr/sbin/haproxy", "/usr/sbin/radvd")'
    )
    assert {outcome.source.name for outcome in conversion.outcomes} == {"kill_dnsmasq"}
    one = converted(rules, call("kill", "-HUP", value("pid")))
    assert only(one).name == "kill_dnsmasq"


def test_a_signal_of_the_moment_stays() -> None:
    made = call("kill", word("-", value("signal")), value("pid"))
    (stays,) = converted("x: KillFilter, root, /usr/bin/x, -9", made).unlinked
    assert stays.why is Why.NO_RULE


def test_a_free_tail_keeps_its_filter_wide_and_says_which_place_does() -> None:
    free = site(template("zfs", each("args")), line=7, reasons=[Reason.FREE_WORDS])
    known = call("zfs", "list", value("name"), line=3)
    conversion = converted("x: CommandFilter, zfs, root", free, known)
    wide = [op for op in conversion.ops if op.rest]
    assert len(conversion.ops) == 2
    assert wide[0].remarks[0] == (
        "stays as wide as it is: service/driver.py:7 (free-words) may use it"
    )


def test_a_rule_without_a_call_is_a_privilege_to_drop() -> None:
    rules = "x: CommandFilter, lvs, root\ny: CommandFilter, dd, root"
    conversion = converted(rules, call("lvs"))
    (unused,) = conversion.outcomes
    assert (unused.source.name, unused.fate) == ("y", Fate.UNUSED)
    assert not any(op.rest for op in conversion.ops)
    kept = converted(rules, call("lvs"), keep_unreferenced=True)
    assert kept.outcomes == ()
    assert [op.command for op in kept.ops if op.rest] == ["dd"]


def test_a_call_of_an_unknown_command_is_a_doubt_about_unused_rules() -> None:
    unknown = site(line=5, reasons=[Reason.SPLIT])
    (unused,) = converted("y: CommandFilter, dd, root", unknown).outcomes
    assert "unless service/driver.py:5, whose command is not known" in unused.why


def test_a_place_that_may_be_remote_stays_but_narrows() -> None:
    remote = site(template("rm", "-f", PATH), reasons=[Reason.REMOTE])
    conversion = converted("x: CommandFilter, rm, root", remote)
    assert [each.why for each in conversion.unlinked] == [Why.UNRESOLVED]
    assert not any(op.rest for op in conversion.ops)


def test_pieces_that_do_not_move_are_taken_as_a_list() -> None:
    rule = "x: CommandFilter, mkfs, root"
    fixed = template("mkfs", when("label", "-L", value("label")), value("device", movable=False))
    (use,) = converted(rule, site(fixed, words="cmd")).uses
    assert use.form is Form.CHECKED
    assert [(each.name, each.source) for each in use.arguments] == [("words", "cmd")]
    (stays,) = converted(rule, site(fixed)).unlinked
    assert stays.why is Why.IN_PIECES


def test_a_shells_program_keeps_its_filter_as_it_is() -> None:
    made = site(template("sh", "-c", value("program")), reasons=[Reason.SHELL])
    conversion = converted("x: CommandFilter, sh, root", made)
    assert [op.rest is not None for op in conversion.ops] == [True]
    assert [each.why for each in conversion.unlinked] == [Why.UNRESOLVED]


def test_a_constant_with_several_values_waits_for_a_person_where_no_list_says_which() -> None:
    """The analysis gives a shape for each value, or no shape at all."""
    made = site(
        template("lvs", value("vg"), env={"LC_ALL": "C"}),
        template("lvs", value("vg"), env={"LC_ALL": "C", "LANG": "C"}),
        reasons=[Reason.REASSIGNED],
        words="cmd",
    )
    rules = "a: EnvFilter, env, root, LC_ALL=C, lvs\nb: EnvFilter, env, root, LC_ALL=C, LANG=, lvs"
    conversion = converted(rules, made)
    assert [op.rest for op in conversion.ops] == [None, None]
    assert [each.why for each in conversion.unlinked] == [Why.UNRESOLVED]


def test_a_wrapper_without_callers_is_where_its_command_is_asked_for() -> None:
    wrapper = site(template("lvs", each("words")), reasons=[Reason.WRAPPER], function="run")
    rule = "x: CommandFilter, lvs, root"
    assert converted(rule, wrapper).ops[0].rest is not None
    caller = replace(call("lvs", "x", line=2), via=("service.driver.run",))
    conversion = converted(rule, wrapper, caller)
    assert [op.rest for op in conversion.ops] == [None]
    assert [each.why for each in conversion.unlinked] == [Why.WRAPPER]


def test_parts_that_are_left_out_together_bring_no_exec_behind_netns() -> None:
    """Each call is harmless, and so are two of them as one; what all three may be is not."""
    made = [
        call("ip", "netns", "-a", "-c", value("name"), line=1),
        call("ip", "netns", "-c", value("name"), line=2),
        call("ip", "netns", "-a", value("name"), line=3),
    ]
    conversion = converted("ip: IpFilter, ip, root", *made)
    for op in conversion.ops:
        shortest = [each for each in op.words if not isinstance(each, Option)]
        assert len(shortest) > 2, op.words
