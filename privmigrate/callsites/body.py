"""What stands in one function, by name: gone through once, however many calls it has."""

import ast
from functools import cached_property
from typing import Final

_GROWERS: Final = frozenset({"append", "extend", "insert"})


class Body:
    """A function's names, and the statements that bind or grow them and do nothing else.

    Attributes:
        names: every place where a name stands.
        readers: those that stand in no such statement, nor in the head of an `if` or loop, which
            goes if all goes that it holds.
    """

    def __init__(self, node: ast.AST) -> None:
        self.names: dict[str, list[ast.Name]] = {}
        self.readers: dict[str, list[ast.Name]] = {}
        self.building: dict[str, list[ast.stmt]] = {}
        self.arguments: set[str] = set()
        todo: list[tuple[ast.AST, bool]] = [(node, False)]
        while todo:
            each, within = todo.pop()
            if isinstance(each, ast.Name):
                self.names.setdefault(each.id, []).append(each)
                if not within:
                    self.readers.setdefault(each.id, []).append(each)
            elif isinstance(each, ast.arg):
                self.arguments.add(each.arg)
            elif isinstance(each, ast.stmt) and (name := bound_by(each)) is not None:
                self.building.setdefault(name, []).append(each)
                within = True
            head = isinstance(each, ast.If | ast.For)
            todo.extend(
                (inner, within or (head and isinstance(inner, ast.expr)))
                for inner in ast.iter_child_nodes(each)
            )

    @cached_property
    def reading(self) -> dict[str, frozenset[str]]:
        """By name, the names in the statements that build it."""
        return {
            name: frozenset(
                inner.id
                for statement in statements
                for inner in ast.walk(statement)
                if isinstance(inner, ast.Name)
            )
            for name, statements in self.building.items()
        }


def bound_by(statement: ast.stmt) -> str | None:
    """The name that a statement binds or grows and does nothing else."""
    match statement:
        case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value):
            return name if value is not None else None
        case ast.AugAssign(ast.Name(name), ast.Add(), _):
            return name
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), method))) if method in _GROWERS:
            return name
        case _:
            return None
