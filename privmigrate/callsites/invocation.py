"""One call while it is evaluated."""

import ast
from dataclasses import dataclass

from privmigrate.callsites.index import Class, Function
from privmigrate.callsites.resolve import Evaluator
from privmigrate.callsites.state import State
from privmigrate.callsites.values import Arguments, Ref, Seq, Str, Value, options_of


@dataclass(frozen=True, slots=True, eq=False)
class Invocation:
    """A call, with what its parts are.

    Attributes:
        callee: what is called; one of several, where that depends.
        base: what a method is called on.
        start: what was known before any of it was evaluated.
        before: the count of effects at that moment.
        text: the callee as it is written.
    """

    evaluator: Evaluator
    node: ast.Call
    callee: Value
    base: Value | None
    arguments: Arguments
    start: State
    before: int
    text: str

    @property
    def row(self) -> list[Value]:
        """The positional arguments that are not spliced."""
        return [value for value, starred in self.arguments.positional if not starred]

    @property
    def rooted(self) -> bool:
        """Whether the call itself says whether it runs as root."""
        here = any(each.arg == "run_as_root" for each in self.node.keywords)
        return here or "run_as_root" in self.arguments.keywords.items()

    @property
    def forwards(self) -> bool:
        """Whether it passes on what its function was given."""
        starred = any(isinstance(each, ast.Starred) for each in self.node.args)
        return starred and self.arguments.keywords.rest is not None

    @property
    def sudo(self) -> int:
        """The position of a list that begins with this word."""
        for position, (value, starred) in enumerate(self.arguments.positional):
            match value:
                case Seq((Str() as first, *_)) if not starred and first.text == "sudo":
                    return position
                case _:
                    continue
        return -1

    @property
    def targets(self) -> list[tuple[str, Value]]:
        """What is called, with its dotted name, or "" where it is not known."""
        return [(target_name(option), option) for _, option in options_of(self.callee)]


def target_name(value: Value) -> str:
    """The dotted name of a function or class."""
    match value:
        case Ref(str() as name):
            return name
        case Ref(Function() | Class() as target):
            return target.qualified
        case _:
            return ""


def function_of(value: Value) -> Function | None:
    """The function of the project that a value is."""
    return value.target if isinstance(value, Ref) and isinstance(value.target, Function) else None
