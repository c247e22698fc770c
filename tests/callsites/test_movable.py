"""What may be evaluated at the call instead, and which statements only build a command line.

The rewriter moves and removes code by these answers: where they are in doubt, they are no.
"""

# ruff: noqa: E501 - a table has one case in a line
from collections.abc import Callable

import pytest

from privmigrate.callsites import Site
from privmigrate.callsites.site import Optional, Word

InFunction = Callable[[str], Site]
CALL = "processutils.execute(*cmd, run_as_root=True)"

MOVABLE = {
    "in the call itself": "processutils.execute('x', share.get_path(a), run_as_root=True)",
    "a parameter": f"cmd = ['x', a]\n{CALL}",
    "a local name": f"path = share.path()\ncmd = ['x', path]\n{CALL}",
    "a pure call": f"cmd = ['x', os.path.join(a, b)]\n{CALL}",
    "an attribute, with nothing in between": f"cmd = ['x', share.path]\n{CALL}",
    "configuration": f"cmd = ['x', CONF.path]\nshare.change()\n{CALL}",
    "a call, with nothing in between": f"cmd = ['x', share.path()]\n{CALL}",
    "calls in a row": f"cmd = ['x', share.one(), share.two()]\ncmd.append(share.three())\n{CALL}",
    "an attribute around a log message": f"cmd = ['x', share.path]\nLOG.debug('x')\n{CALL}",
    "an attribute before calls in a row": f"cmd = ['x', share.path, share.two()]\n{CALL}",
    "into a try, without an effect": f"cmd = ['x', share.path]\ntry:\n    {CALL}\nfinally:\n    pass",
    "a name that is bound later": f"cmd = ['x', a]\n{CALL}\na = 1",
    "the whole word, by its name": f"word = 'p' + share.path()\nshare.x()\ncmd = ['x', word]\n{CALL}",
}  # fmt: skip

FIXED = {
    "a name that is bound again": f"cmd = ['x', a]\na = b\n{CALL}",
    "a name that is bound again in a branch": f"cmd = ['x', a]\nif flag:\n    a = b\n{CALL}",
    "a name that a loop binds": f"cmd = ['x', a]\nfor a in names:\n    pass\n{CALL}",
    "a name that is deleted": f"cmd = ['x', a]\ndel a\n{CALL}",
    "a name that a with binds": f"cmd = ['x', a]\nwith share.x() as a:\n    {CALL}",
    "a name that an import in a branch binds": f"cmd = ['x', a]\nif b:\n    (a := b)\n{CALL}",
    "an attribute, with a call in between": f"cmd = ['x', share.path]\nshare.change()\n{CALL}",
    "an attribute that is assigned": f"cmd = ['x', share.path]\nshare.path = b\n{CALL}",
    "an item that is assigned": f"cmd = ['x', share['p']]\nshare['p'] = b\n{CALL}",
    "a call, with another in between": f"cmd = ['x', share.path()]\nshare.lock()\n{CALL}",
    "a call, with an assignment in between": f"cmd = ['x', share.path()]\nshare.y = 1\n{CALL}",
    "a call that is not the last": f"cmd = ['x', share.one()]\nx = share.two()\n{CALL}",
    "a call into a try": f"cmd = ['x', share.path()]\ntry:\n    {CALL}\nfinally:\n    pass",
    "a call out of a try": f"try:\n    cmd = ['x', share.path()]\nfinally:\n    pass\n{CALL}",
    "a call into a with": f"cmd = ['x', share.path()]\nwith share.lock():\n    {CALL}",
    "a call into a loop": f"cmd = ['x', share.path()]\nfor i in names:\n    {CALL}",
    "a call out of a branch": f"cmd = ['x']\nif flag:\n    cmd.append(share.path())\nshare.z()\n{CALL}",
    "a name that a nested function binds": f"cmd = ['x', a]\ndef set():\n    nonlocal a\n    a = 1\nset()\n{CALL}",
    "the result of a helper": "cmd = helper(share)\nprocessutils.execute('x', *cmd, run_as_root=True)",
}  # fmt: skip


def holes_are_passable(site: Site) -> bool:
    (template,) = site.templates
    return template.passable


@pytest.mark.parametrize("body", MOVABLE.values(), ids=MOVABLE)
def test_it_may_be_moved(in_function: InFunction, body: str) -> None:
    site = in_function(body)
    assert holes_are_passable(site)
    assert site.typable


@pytest.mark.parametrize("body", FIXED.values(), ids=FIXED)
def test_it_may_not_be_moved(in_function: InFunction, body: str) -> None:
    site = in_function(body)
    if site.resolved:
        assert not holes_are_passable(site) or site.building == ()
    assert not site.typable


def test_a_condition_may_be_moved_as_a_value_may(in_function: InFunction) -> None:
    body = f"cmd = ['x']\nif share.quiet:\n    cmd.append('-q')\n{CALL}"
    option = in_function(body).templates[0].segments[1]
    assert isinstance(option, Optional)
    assert option.movable
    changed = in_function(body.replace("processutils", "share.change()\nprocessutils"))
    option = changed.templates[0].segments[1]
    assert isinstance(option, Optional)
    assert not option.movable
    assert changed.checkable


def test_a_word_has_an_expression_of_its_own(in_function: InFunction) -> None:
    site = in_function("processutils.execute('x', '%s:%s' % (a, b), run_as_root=True)")
    word = site.templates[0].segments[1]
    assert isinstance(word, Word)
    assert (word.source, word.movable) == ("'%s:%s' % (a, b)", True)
    assert word.span is not None
    assert word.span.line == 3


# what builds a command line

BUILDING = {
    "nothing": (f"cmd = names\n{CALL}", []),
    "a list": (f"cmd = ['x', a]\n{CALL}", [3]),
    "a list that grows": (f"cmd = ['x']\ncmd.append(a)\ncmd += [b]\ncmd.extend((a,))\n{CALL}", [3, 4, 5, 6]),
    "an option": (f"cmd = ['x']\nif a:\n    cmd.append(a)\n{CALL}", [3, 4]),
    "a branch with something else": (f"cmd = ['x']\nif a:\n    cmd.append(a)\n    b = 1\n{CALL}", [3, 5]),
    "a loop": (f"cmd = ['x']\nfor n in names:\n    cmd.append(n)\n{CALL}", [3, 4]),
    "a constant on the way": (f"word = '-f'\ncmd = ['x', word]\n{CALL}", [3, 4]),
    "a name that is used elsewhere": (f"cmd = ['x', a]\nLOG.info(cmd)\n{CALL}", []),
    "a name that is returned": (f"cmd = ['x', a]\n{CALL}\nreturn cmd", []),
    "a name that another statement binds": (f"cmd = ['x', a]\nfor cmd in names:\n    pass\n{CALL}", []),
    "a constant that is used elsewhere": (f"word = '-f'\ncmd = ['x', word]\nb(word)\n{CALL}", [4]),
    "a call that is not moved": (f"cmd = ['x', share.path()]\nshare.lock()\n{CALL}", []),
    "a call that is moved": (f"cmd = ['x', share.path()]\n{CALL}", [3]),
    "a condition with an effect": (f"cmd = ['x']\nif share.pop():\n    cmd.append('-y')\n{CALL}", []),
    "a variable of a loop that is used later": (f"cmd = ['x']\nfor n in names:\n    cmd += [n]\nb(n)\n{CALL}", []),
    "a name of a nested function": (f"cmd = ['x', a]\n{CALL}\ndef later():\n    return cmd", []),
}  # fmt: skip


@pytest.mark.parametrize(("body", "lines"), BUILDING.values(), ids=BUILDING)
def test_the_statements_that_only_build(
    in_function: InFunction, body: str, lines: list[int]
) -> None:
    assert [span.line for span in in_function(body).building] == lines


def test_a_list_of_two_calls_is_built_for_both(in_function: InFunction) -> None:
    with pytest.raises(ValueError, match="too many values"):
        in_function(f"cmd = ['x', a]\n{CALL}\n{CALL}")
