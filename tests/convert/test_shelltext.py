"""A value in a program for a shell or the like adds no command, or there is no entrypoint."""

from pathlib import Path

import pytest

from privmigrate.callsites import find_sites
from privmigrate.callsites.site import Reason
from privmigrate.convert.operation import Fate, Width
from privmigrate.errors import Refused
from tests.convert.packages import command_of, converted, imported
from tests.convert.sites import converted as converted_calls
from tools.attack_entrypoints import commands_added

REMOVES = r"x: RegExpFilter, sh, root, sh, -c, rm -f /.*/\*\.conf$"
WRITES = r"x: RegExpFilter, sh, root, sh, -c, echo '((.|\n)*)' > /.*"
# rule, what the service calls, what an attacker does
TEXTS = {
    "rm": (
        REMOVES,
        ("rm -f /etc/ganesha/export.d/*.conf", "rm -f /srv/a-b_c.d/x:y@1,2%3/*.conf"),
        (
            "rm -f /x; id /*.conf",
            "rm -f /x&id /*.conf",
            "rm -f /x|id /*.conf",
            "rm -f /$(id)/*.conf",
            "rm -f /${x}/*.conf",
            "rm -f /`id`/*.conf",
            "rm -f /x' /*.conf",
            'rm -f /x" /*.conf',
            "rm -f /x\\/*.conf",
            "rm -f /x\nid/*.conf",
            "rm -f /a /b/*.conf",
            "rm -f />x/*.conf",
            "rm -f /{a,b}/*.conf",
            "rm -f /~/*.conf",
            "rm -f /x#/*.conf",
            "rm -f /é/*.conf",
        ),
    ),
    "echo": (
        WRITES,
        ("echo 'a {\n b = \"c\"; $(d) `e` \\ é\n}\n' > /etc/ganesha/x.Ab12", "echo '' > /x"),
        (
            "echo ''; id; echo '' > /x",
            "echo '' > /x; id",
            "echo '' > /x$(id)",
            "echo '' > /x\nid",
            "echo '' > /x y",
            "echo 'x'\"'\"'y' > /x",
            "echo '-e x' > /x",
        ),
    ),
    "begins a word": (
        'x: RegExpFilter, sh, root, sh, -c, grep -l ".+" /sys/.* > /run/n',
        ('grep -l "7" /sys/class/net/veth1/ifindex > /run/n',),
        ('grep -l "-f" /sys/x > /run/n', 'grep -l "$(id)" /sys/x > /run/n'),
    ),
    "after another command": (
        r"x: RegExpFilter, bash, root, bash, -o, pipefail, -ec, sync && cat [a-z;]+ \| head -1",
        ("sync && cat abc | head -1",),
        ("sync && cat a;b | head -1", "sync && cat ; | head -1"),
    ),
}


@pytest.mark.parametrize(("rule", "good", "bad"), TEXTS.values(), ids=TEXTS)
def test_what_the_service_calls_passes_and_no_command_more(
    tmp_path: Path, rule: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    conversion = converted(rule, package="shells")
    (op,) = conversion.ops
    assert op.width is Width.NARROWED
    said = "no value in the shell's text adds a command or an option"
    if rule == WRITES:
        said += "; which file it writes to, the caller says"
    assert said in op.narrower
    with imported(conversion, "shells", tmp_path):
        command = command_of("shells", op)
        for text in good:
            (planned,) = command.plan(**{op.params[0].name: text})
            assert text in planned.argv
        for text in bad:
            with pytest.raises(Refused):
                command.plan(**{op.params[0].name: text})


REFUSED = {
    "sh, -c, .*": "it is what is run",
    "sh, -c, /opt/.*": "it is what is run",
    "sh, -c, cat /a; .*": "it is what is run",
    r"sh, -c, cat /a \| .*": "it is what is run",
    "sh, -c, eval .*": "nothing is known here of the operands of eval",
    "sh, -c, find /a -name .*": "nothing is known here of the operands of find",
    "sh, -c, if cat .*; then reboot; fi": "nothing is known here of the operands of if",
    r"sh, -c, echo \$.*": "$ stands there",
    r"sh, -c, cat \$(ls .*)": "$ stands there",
    "sh, -c, A=.* cat": "= stands there",
    "sh, -c, cat << E .*": "< stands there",
    "sh, -c, 'rm' .*": "' stands in what is run",
    "sh, -c, echo '.*": "a quote is not closed",
    "sh, -c, cat (ab)*": "its pattern is not simple enough",
    "sh, -c, cat [;&]+": "none of its characters is harmless",
    "sh, -c, eval $1, x, .*": "may add a command",
    "sh, .*": "the caller would write what sh runs",
    "sh, -x, .*": "the caller would write what sh runs",
    "env, A=1, .*": "the caller would write what env runs",
    "env, sh, -c, echo .*": "the caller would write what sh runs",
    "xargs, -n, 1, .*": "the caller would write what xargs runs",
    "find, /a, -exec, .*, {}": "the caller would write what find runs",
    "find, /a, -exec, sh, -c, .*": "the caller would write what sh runs",
    "sed, -i, s/a/.*/, /f": "the caller would write what sed runs",
    "sed, -n, -e, .*, /f": "the caller would write what sed runs",
    "awk, -F, :, .*, /f": "the caller would write what awk runs",
    "python3, -m, .*": "the caller would write what python3 runs",
    "ssh, host, .*": "the caller would write what ssh runs",
    "ssh, -o, ProxyCommand=.*, host": "the caller would write what ssh runs",
    "su, -, user, -c, .*": "the caller would write what su runs",
    "docker, exec, box, bash, -c, .*": "the caller would write what bash runs",
}


@pytest.mark.parametrize(("words", "why"), REFUSED.items())
def test_what_cannot_be_narrowed_is_refused_with_the_reason(words: str, why: str) -> None:
    command = words.partition(",")[0]
    conversion = converted(f"x: RegExpFilter, {command}, root, {words}")
    assert conversion.ops == ()
    (outcome,) = conversion.outcomes
    assert outcome.fate is Fate.REFUSED
    assert why in outcome.why


PLAIN = (
    "sh, /opt/script, .*", "sh, -c, lvs|vgs", "find, /.*, -name, x", "sed, -e, 1p, .*",
    "sed, -n, 1p, .*", "awk, -F, .*, {print}", "ssh, .*, ls", "su, -c, ls, .*",
    "docker, exec, .*, bash, -c, ls", "xargs, -n, 1, rm, .*", "env, A=.*, sh, -c, ls",
)  # fmt: skip


@pytest.mark.parametrize("words", PLAIN)
def test_a_value_that_is_no_program_stays(words: str) -> None:
    command = words.partition(",")[0]
    (op,) = converted(f"x: RegExpFilter, {command}, root, {words}").ops
    assert op.params


@pytest.mark.parametrize("words", ["sed, root, -i, pass, /srv", "sh, root, -c, pass"])
def test_a_path_filter_is_refused_too(words: str) -> None:
    conversion = converted(f"x: PathFilter, {words}")
    assert conversion.ops == ()
    assert "the caller would write what" in conversion.outcomes[0].why


CALLS = {
    "docker": "'docker', 'exec', 'box', 'bash', '-c', 'cat ' + free",
    "sed": "'sed', '-i', 's/a/%s/' % free, '/f'",
    "awk": "'awk', free, '/f'",
    "find": "'find', '/a', '-exec', free, '{}', ';'",
    "xargs": "'xargs', free",
    "ssh": "'ssh', 'host', 'eval', free",
}
DRIVER = """
from oslo_concurrency import processutils
def do(free):
    processutils.execute({words}, run_as_root=True, root_helper='sudo x-rootwrap')
"""


@pytest.mark.parametrize("name", CALLS)
def test_a_call_with_such_a_value_leaves_its_filter_wide(tmp_path: Path, name: str) -> None:
    """No entrypoint of its own looks narrower than it is."""
    path = tmp_path / "driver.py"
    path.write_text(DRIVER.format(words=CALLS[name]))
    sites = find_sites([str(path)]).sites
    (found,) = sites
    assert found.reasons == (Reason.SHELL,)
    (op,) = converted_calls(f"{name}: CommandFilter, {name}, root", *sites).ops
    assert op.rest is not None


def test_a_fixed_program_makes_an_entrypoint(tmp_path: Path) -> None:
    path = tmp_path / "driver.py"
    path.write_text(DRIVER.format(words="'sed', '-i', 's/a/b/', free"))
    (found,) = find_sites([str(path)]).sites
    assert found.reasons == ()
    (op,) = converted_calls("sed: CommandFilter, sed, root", found).ops
    assert op.rest is None


def test_what_a_remote_shell_reads_adds_no_command(tmp_path: Path) -> None:
    path = tmp_path / "driver.py"
    path.write_text(DRIVER.format(words="'ssh', 'host', 'exportfs', '-o', 'rw,%s' % free, free"))
    sites = find_sites([str(path)]).sites
    conversion = converted_calls("ssh: CommandFilter, ssh, root", *sites, package="remote")
    (op,) = conversion.ops
    first, second = (param.name for param in op.params)
    with imported(conversion, "remote", tmp_path):
        command = command_of("remote", op)
        assert command.plan(**{first: "sec=sys", second: "10.0.0.0/8:/a"})
        for text in ("a;id", "$(id)", "`id`", "a b", "a|b", "a\nb", "'", '"', "\\", ">x", "-u"):
            with pytest.raises(Refused):
                command.plan(**{first: "sec=sys", second: text})


def test_the_judge_of_the_attacks_sees_a_command_more() -> None:
    assert not list(commands_added(["sh", "-c", "echo 'a; $(b)\n' > /x"]))
    for text in ("echo a; id", "echo $(id)", "echo `id`", "echo a\nid", "echo 'a", "a && b"):
        assert list(commands_added(["ip", "netns", "exec", "q", "sh", "-c", text])), text
