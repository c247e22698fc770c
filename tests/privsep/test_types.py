"""The types that generated parameters have."""

import pytest

from privmigrate.argv.check import compile_annotation
from privmigrate.errors import Refused
from privmigrate.privsep import types


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (types.Argument, "-x\n", "-x\n"),
        (types.Argument, 5, "5"),
        (types.Operand, "x", "x"),
        (types.Digits, "05", "05"),
        (types.EnvValue, "a=b", "a=b"),
        (types.Pid, "12", "12"),
        (types.Pid, 2**22, str(2**22)),
        (types.Stdin, None, None),
        (types.Stdin, b"\0", b"\0"),
        (types.Netns, ("qrouter-5a.1", "Netns"), types.Netns("qrouter-5a.1")),
    ],
)
def test_accepted(annotation: object, value: object, expected: object) -> None:
    assert compile_annotation(annotation)(value) == expected


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (types.Argument, "\0"),
        (types.Argument, None),
        (types.Operand, "-x"),
        (types.Operand, -1),
        (types.Operand, "a\nb"),
        (types.Digits, "-5"),
        (types.EnvValue, "\0"),
        (types.Pid, 0),
        (types.Pid, "-1"),
        (types.Pid, 2**22 + 1),
        (types.Pid, "self"),
        (types.Netns, ("", "Netns")),
        (types.Netns, ("..", "Netns")),
        (types.Netns, ("a/b", "Netns")),
        (types.Netns, ("-all", "Netns")),
        (types.Netns, ("a b", "Netns")),
        (types.Netns, ("a\n", "Netns")),
        (types.Netns, ("a", "Other")),
    ],
)
def test_refused(annotation: object, value: object) -> None:
    with pytest.raises(Refused):
        compile_annotation(annotation)(value)


def test_a_namespace_stands_in_front() -> None:
    assert types.Netns("a").words()[1:] == ("netns", "exec", "a")
    assert types.Netns("a").words()[0].endswith("/ip")
