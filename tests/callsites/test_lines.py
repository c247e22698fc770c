"""What a command line is told to be, for every way that services write one."""

# ruff: noqa: E501, ISC004 - a table has one case in a line
from collections.abc import Callable

import pytest

from privmigrate.argv.spec import Choice, Int
from privmigrate.callsites import Findings, Site
from privmigrate.callsites.site import Optional, Reason, Repeated, Template, Value, Word
from privmigrate.callsites.text import template_text

InFunction = Callable[[str], Site]

# How it is written, and the templates that it has.
WRITTEN = {
    "words": ("execute('ls', '-l', a)", ["ls -l {a}"]),
    "a number": ("execute('brctl', 'setfd', a, 0)", ["brctl setfd {a} 0"]),
    "a list": ("cmd = ['ls', a]\nexecute(*cmd)", ["ls {a}"]),
    "a tuple": ("cmd = ('ls', a)\nexecute(*cmd)", ["ls {a}"]),
    "append": ("cmd = ['ls']\ncmd.append(a)\nexecute(*cmd)", ["ls {a}"]),
    "extend": ("cmd = ['ls']\ncmd.extend(['-l', a])\nexecute(*cmd)", ["ls -l {a}"]),
    "+=": ("cmd = ['ls']\ncmd += ('-l', a)\nexecute(*cmd)", ["ls -l {a}"]),
    "+": ("cmd = ['ls'] + ['-l'] + [a]\nexecute(*cmd)", ["ls -l {a}"]),
    "insert": ("cmd = ['ls', a]\ncmd.insert(1, '-l')\nexecute(*cmd)", ["ls -l {a}"]),
    "remove": ("cmd = ['sudo', 'ls', a]\ncmd.remove('sudo')\nexecute(*cmd)", ["ls {a}"]),
    "splices": ("rest = ['-l', a]\nexecute('ls', *rest, b)", ["ls -l {a} {b}"]),
    "a splice in a list": ("rest = ['-l']\ncmd = ['ls', *rest, a]\nexecute(*cmd)", ["ls -l {a}"]),
    "a slice": ("cmd = ['sudo', 'ls', a]\nexecute(*cmd[1:])", ["ls {a}"]),
    "a copy": ("cmd = ['ls', a]\nexecute(*list(cmd))", ["ls {a}"]),
    "split": ("execute(*'ls -l /'.split())", ["ls -l /"]),
    "split by": ("execute(*'ls:-l'.split(':'))", ["ls -l"]),
    "percent": ("execute('dd', 'if=%s' % a, 'bs=%d' % b)", ["dd if={a} bs={b}"]),
    "percent, several": ("execute('chown', '%s:%s' % (a, b))", ["chown {a}:{b}"]),
    "percent, named": ("execute('x', '%(k)s%%' % {'k': a})", ["x {a}%"]),
    "format": ("execute('x', '{}-{k}'.format(a, k=b))", ["x {a}-{b}"]),
    "format by index": ("execute('x', '{1}-{0}'.format(a, b))", ["x {b}-{a}"]),
    "an f-string": ("execute('x', f'{a}:{b!s}')", ["x {a}:{b}"]),
    "str": ("execute('x', str(a))", ["x {a}"]),
    "concatenation": ("execute('x', '--name=' + a + '.img')", ["x --name={a}.img"]),
    "join of known words": ("execute('x', ','.join(['u=1', 'p=%s' % a]))", ["x u=1,p={a}"]),
    "a quoted word": ("execute('x', 'a b')", ["x 'a b'"]),
    "text that grows": ("text = 'a'\ntext += b\nexecute('x', text)", ["x a{b}"]),
    "an option": (
        "cmd = ['ls']\nif flag:\n    cmd.append('-l')\ncmd.append(a)\nexecute(*cmd)",
        ["ls [-l] {a}"],
    ),
    "an option with a value": (
        "cmd = ['ls']\nif b:\n    cmd += ['-o', b]\nexecute(*cmd, a)",
        ["ls [-o {b}] {a}"],
    ),
    "nested options": (
        "cmd = ['ls']\nif a:\n    cmd += ['-a']\n    if b:\n        cmd += ['-b']\nexecute(*cmd)",
        ["ls [-a [-b]]"],
    ),
    "one way or the other": (
        "if flag:\n    cmd = ['ls', a]\nelse:\n    cmd = ['cat', b, a]\nexecute(*cmd)",
        ["ls {a}", "cat {b} {a}"],
    ),
    "one word or the other": (
        "cmd = ['up', a] if flag else ['down', a]\nexecute(*cmd)",
        ["{up|down} {a}"],
    ),
    "a conditional word": ("execute('ip', 'set', 'up' if flag else 'down')", ["ip set {up|down}"]),
    "a word that depends": (
        "if flag:\n    state = 'up'\nelse:\n    state = 'down'\nexecute('ip', 'set', state)",
        ["ip set {up|down}"],
    ),
    "a repeated option": (
        "cmd = ['zfs']\nfor name in names:\n    cmd.extend(['-o', name])\nexecute(*cmd, a)",
        ["zfs (-o {name})... {a}"],
    ),
    "a comprehension": ("execute('rm', *['/x/%s' % n for n in names])", ["rm (/x/{n})..."]),
    "inside of a loop": (
        "cmd = ['rm']\nfor name in names:\n    cmd.append(name)\n    execute(*cmd)",
        ["rm ({name})... {name}"],
    ),
    "a command from a loop": (
        "for cmd in ('iptables', 'ip6tables'):\n    execute('%s-save' % cmd, '-c')",
        ["{iptables|ip6tables}-save -c"],
    ),
    "a command from a loop over pairs": (
        "rows = [('iptables', a)]\nif flag:\n    rows += [('ip6tables', b)]\n"
        "for cmd, table in rows:\n    execute(cmd, '-t', table)",
        ["{iptables|ip6tables} -t {table}"],
    ),
    "after a try": (
        "cmd = ['ls']\ntry:\n    b.check()\nexcept OSError:\n    pass\nexecute(*cmd, a)",
        ["ls {a}"],
    ),
    "in a handler": (
        "cmd = ['ls']\ntry:\n    b()\nexcept OSError:\n    execute(*cmd)",
        ["ls"],
    ),
    "after a loop that may be left": (
        "while flag:\n    if a:\n        break\nelse:\n    raise OSError\nexecute('ls')",
        ["ls"],
    ),
    "in a comprehension": ("return [execute('ls', n) for n in names]", ["ls {n}"]),
    "in a lambda": ("return lambda x: execute('ls', x)", ["ls {x}"]),
    "in match": (
        "match a:\n    case 1:\n        cmd = ['ls']\n    case _:\n        cmd = ['ls', '-l']\n"
        "execute(*cmd)",
        ["ls", "ls -l"],
    ),
}


@pytest.mark.parametrize(("body", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_the_templates_of(in_function: InFunction, body: str, expected: list[str]) -> None:
    site = in_function(_as_root(body.replace("execute(", "processutils.execute(")))
    assert [template_text(each) for each in site.templates] == expected
    assert site.resolved


def _as_root(body: str) -> str:
    """Add the keyword argument to the last call, at its end."""
    place = body.rindex("processutils.execute(")
    depth = 0
    for end in range(body.index("(", place), len(body)):
        depth += {"(": 1, ")": -1}.get(body[end], 0)
        if not depth:
            return f"{body[:end]}, run_as_root=True{body[end:]}"
    raise AssertionError(body)


FREE = {
    "a configured command": ("execute(*a.split())", Reason.SPLIT, []),
    "a text with a hole": ("execute(*('mount -o %s /x' % a).split())", Reason.SPLIT, ["mount -o {*('mount -o %s /x' % a).split()}"]),
    "split by the shell's rules": ("import shlex\nexecute(*shlex.split(a))", Reason.SPLIT, []),
    "what is run": ("execute(share.tool, '-x')", Reason.FREE_COMMAND, ["{tool} -x"]),
    "words of a configuration": ("execute('ls', *CONF.words)", Reason.FREE_WORDS, ["ls {*CONF.words}"]),
    "output of another command": (
        "out, err = processutils.execute('route')\nfields = out.split()\nexecute('ip', *fields)",
        Reason.FREE_WORDS,
        ["ip {*fields}"],
    ),
    "a text in the place of a list": ("cmd = ['ls']\ncmd += share.text\nexecute(*cmd)", Reason.FREE_WORDS, ["ls {*share.text}"]),
    "a list that somebody changes": ("cmd = ['ls']\ncmd.sort()\nexecute(*cmd)", Reason.FREE_WORDS, []),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason", "expected"), FREE.values(), ids=FREE)
def test_what_cannot_be_told_has_a_reason(
    in_function: InFunction, body: str, reason: Reason, expected: list[str]
) -> None:
    head, _, call = body.rpartition("execute(")
    site = in_function(_as_root(f"{head}processutils.execute({call}"))
    assert reason in site.reasons or (not expected and Reason.FREE_COMMAND in site.reasons)
    assert not site.resolved
    assert not site.typable
    assert not site.checkable
    assert [template_text(each) for each in site.templates] == expected


def test_more_alternatives_than_are_followed_are_not_guessed(in_function: InFunction) -> None:
    branches = "".join(
        f"if share[{n}]:\n    cmd += ['a{n}', a]\nelse:\n    cmd += ['b{n}']\n" for n in range(6)
    )
    site = in_function(f"cmd = ['x']\n{branches}processutils.execute(*cmd, run_as_root=True)\n")
    assert site.reasons == (Reason.TOO_MANY,)
    assert site.templates == ()


def test_types_are_told_where_they_show(in_function: InFunction) -> None:
    site = in_function("processutils.execute('x', '-n%d' % a, len(b), run_as_root=True)")
    first, second = site.templates[0].segments[1:]
    assert isinstance(first, Word)
    assert isinstance(second, Word)
    (number,) = (part for part in first.parts if isinstance(part, Value))
    assert isinstance(number.spec, Int)
    (length,) = second.parts
    assert isinstance(length, Value)
    assert isinstance(length.spec, Int)


def test_a_choice_of_commands_is_told_by_the_template(in_function: InFunction) -> None:
    site = in_function(
        "for cmd in ('iptables', 'ip6tables'):\n"
        "    processutils.execute(cmd + '-save', run_as_root=True)\n"
    )
    (template,) = site.templates
    assert template.command is None
    assert template.commands == ("iptables-save", "ip6tables-save")
    first = template.segments[0]
    assert isinstance(first, Word)
    hole = first.parts[0]
    assert isinstance(hole, Value)
    assert hole.spec == Choice(("iptables", "ip6tables"))


def test_what_only_stands_in_front_is_taken_off(in_function: InFunction) -> None:
    site = in_function(
        "cmd = ['ip', 'netns', 'exec', a, 'env', 'LC_ALL=C', 'X=%s' % b, 'ionice', '-c3', 'ls']\n"
        "processutils.execute(*cmd, run_as_root=True)\n"
    )
    (template,) = site.templates
    assert template_text(template) == "(netns {a}) LC_ALL=C X={b} ionice -c3 ls"
    assert template.command == "ls"
    assert site.words_source == "cmd[9:]"


def test_prefixes_of_different_length_are_cut_by_their_condition(in_function: InFunction) -> None:
    site = in_function(
        "cmd = ['ls', b]\n"
        "if a:\n    cmd = ['ip', 'netns', 'exec', a] + cmd\n"
        "processutils.execute(*cmd, run_as_root=True)\n"
    )
    assert [each.guard for each in site.templates] == ["a", "not a"]
    assert site.words_source == "cmd[4:] if a else cmd"
    assert site.checkable
    assert not site.typable


def test_an_environment_that_is_passed_is_part_of_the_template(in_function: InFunction) -> None:
    site = in_function(
        "processutils.execute('ls', run_as_root=True, env_variables={'LC_ALL': 'C'})\n"
    )
    assert [template_text(each) for each in site.templates] == ["LC_ALL=C ls"]
    assert site.typable
    site = in_function("processutils.execute('ls', run_as_root=True, env_variables=share)\n")
    assert site.reasons == (Reason.OPTIONS,)


def test_segments_say_what_they_depend_on(in_function: InFunction) -> None:
    site = in_function(
        "cmd = ['x']\nif not flag:\n    cmd.append('-y')\n"
        "for each in names:\n    cmd.append(each)\n"
        "processutils.execute(*cmd, run_as_root=True)\n"
    )
    template: Template = site.templates[0]
    _, option, repeated = template.segments
    assert isinstance(option, Optional)
    assert option.guard == "not flag"
    assert isinstance(repeated, Repeated)
    assert (repeated.source, repeated.element) == ("names", "each")
    assert site.typable


@pytest.mark.parametrize(
    ("options", "outside"),
    [("", False), (", run_as_root=True", True), (", run_as_root=a", True), (", **b", True)],
)
def test_a_wrapper_without_a_namespace_is_root_only_where_the_call_says(
    analyse: Callable[..., Findings], options: str, *, outside: bool
) -> None:
    """neutron's ``netns.execute`` is root because of the namespace, where it has one."""
    found = analyse(
        "from neutron.agent.linux import ip_lib\n"
        "def run(name, a, b):\n"
        "    wrapper = ip_lib.IPWrapper(namespace=name)\n"
        f"    wrapper.netns.execute(['ip', 'link']{options})\n"
    )
    (site,) = found.sites
    assert site.also_outside is outside
