"""What callers choose of an entrypoint's commands, and what its annotations leave them."""

import pytest

from privmigrate.audit.modules import Execution, read_module
from privmigrate.audit.runnable import ANY_WORD, Slot

HEAD = "from oslo_privsep import priv_context\nfrom privmigrate.privsep import types\n"
OURS = "from privmigrate.privsep import Executable, command, run\nX = Executable('x')\n"


def executions(body: str, parameters: str = "a, b") -> tuple[Execution, ...]:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    module = read_module(f"{HEAD}@c.entrypoint\ndef f({parameters}):\n{lines}", "m.py")
    assert module is not None
    return module.entrypoints[0].executions


def shown(execution: Execution) -> list[str]:
    more = [] if execution.rest is None else ["*any" if execution.rest is ANY_WORD else "*some"]
    return [execution.program, *(slot.shown for slot in execution.slots), *more]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("execute('x', '-a', a)", [["x", "-a", "..."]]),
        ("processutils.execute(*a)", [["", "*any"]]),
        ("cmd = ['x', a]\nsubprocess.run(cmd)", [["x", "..."]]),
        ("cmd = ['x']\ncmd.extend(a)\nsubprocess.run(cmd)", [["x", "*any"]]),
        ("cmd = ['x']\nfor i in a:\n    cmd.append(i)\nexecute(*cmd)", [["x"], ["x", "*any"]]),
        (
            "cmd = ['x']\nfor i in a:\n    cmd += ['-p', 'q']\nexecute(*cmd)",
            [["x"], ["x", "*some"]],
        ),
        ("cmd = ['x']\nif a:\n    cmd.append('-f')\nexecute(*cmd)", [["x"], ["x", "-f"]]),
        ("cmd = ['x']\nif a:\n    cmd = ['y']\nexecute(*cmd)", [["x"], ["y"]]),
        ("execute(*cmd)\ncmd = ['x']", [["", "*any"]]),
        ("more = ['-t', a] if a else []\nexecute('x', *more)", [["x", "-t", "..."], ["x"]]),
        ("execute('x', 'n=%s' % a, f'm={b}')", [["x", "...", "m=..."]]),
        ("os.execv('/bin/x', a)", [["/bin/x", "..."]]),
        ("print(a)", []),
    ],
)
def test_words_are_followed(body: str, expected: list[list[str]]) -> None:
    assert [shown(one) for one in executions(body)] == expected


def test_what_is_known_only_by_its_beginning() -> None:
    (one,) = executions("execute('mkfs.' + a, b)")
    assert (one.program, one.begins, one.chosen_by) == ("", "mkfs.", ("a",))


def slot(annotation: str) -> Slot:
    source = f"{OURS}@c.entrypoint\n@command\ndef f(a: {annotation}):\n    return run(X, a)\n"
    module = read_module(source, "m.py")
    assert module is not None
    return module.entrypoints[0].executions[0].slots[0]


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("Digits", "12", "-1"),
        ("Operand", "a", "-a"),
        ("types.Pid", "12", "0"),
        ("int", "-12", "a"),
        ("Literal['on', 'off']", "on", "no"),
        ("Literal['on'] | None", "on", "no"),
        ("Optional[Digits]", "1", "a"),
        ("'Digits'", "1", "a"),
        ("Annotated[str, Matches('[a-z]+')]", "abc", "ABC"),
        ("Annotated[str, Choice(('a', 'b'))]", "a", "c"),
        ("Annotated[str, Key('if=', Matches('/x.*'))]", "if=/x", "of=/x"),
        ("Annotated[str, PathWithin('/var/x')]", "/var/x/a", "/var/x/../a"),
        ("Annotated[str, AbsolutePath(below='/dev/', no_dotdot=True)]", "/dev/a", "/dev/../a"),
        ("Digits | Literal['all']", "all", "some"),
    ],
)
def test_annotations_are_read(annotation: str, good: str, bad: str) -> None:
    assert slot(annotation).accepts(good)
    assert not slot(annotation).accepts(bad)


@pytest.mark.parametrize(
    "annotation", ["str", "Argument", "Annotated[str, Any()]", "Unknown", "Annotated[str, Odd(1)]"]
)
def test_what_says_nothing_is_any_word(annotation: str) -> None:
    assert slot(annotation) is ANY_WORD


def test_our_commands_are_held_to_their_capabilities_and_oslos_are_not() -> None:
    text = (
        "@c.entrypoint\n@command(capabilities=(capabilities.CAP_CHOWN,))\n"
        "def f(n: Digits):\n    return run(X, n)\n"
    )
    ours = read_module(OURS + text, "m.py")
    theirs = read_module("from oslo_privsep import capabilities\n" + text, "m.py")
    assert ours is not None
    assert theirs is not None
    assert str(ours.entrypoints[0].limit) == "CAP_CHOWN"
    assert theirs.entrypoints[0].limit is None


def test_a_file_without_entrypoints_is_none() -> None:
    assert read_module("x = 1\n", "m.py") is None
    assert read_module("def entrypoint():\n    pass\n", "m.py") is None
