"""What a rewritten function no longer needs: names that nothing reads since its calls went.

Only what the rewriting made unused goes, and only statements that do nothing but bind such names.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Final

from privmigrate.convert.document import Document, Function, bound_names, loaded_names
from privmigrate.convert.effects import is_quiet
from privmigrate.convert.replace import Replacement

_INNER: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
# from within these, an error leads on in the function
_GUARDS: Final = (ast.Try, ast.TryStar, ast.With, ast.AsyncWith)
_LEAVES: Final = (ast.Return, ast.Break, ast.Continue, ast.Raise, ast.Yield, ast.YieldFrom)


def unneeded(document: Document, replacements: Sequence[Replacement]) -> tuple[ast.stmt, ...]:
    """Statements that can go with the calls, outermost ones, in the order of the file."""
    by_function: dict[Function, list[Replacement]] = {}
    for each in replacements:
        function = document.function(each.call)
        if function is not None:
            by_function.setdefault(function, []).append(each)
    found = [
        statement
        for function, own in by_function.items()
        for statement in _Dead(function, own).statements()
    ]
    return tuple(sorted(found, key=document.start))


class _Dead:
    """The names of one function that nothing reads any more."""

    def __init__(self, function: Function, replacements: Sequence[Replacement]) -> None:
        self._function = function
        self._calls = {each.call for each in replacements}
        self._new = {name for each in replacements for name in loaded_names(each.expression)}
        arguments = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
        shared = {
            name
            for node in ast.walk(function)
            if isinstance(node, ast.Global | ast.Nonlocal)
            for name in node.names
        }
        self._local = set(bound_names(function)) - arguments - shared

    def statements(self) -> list[ast.stmt]:
        names = self._once_read(self._calls)
        found: list[ast.stmt] = []
        while True:
            names, statements = self._settle(names)
            if len(statements) == len(found):
                return [*found, *self._overwritten(found)]
            found = statements
            names |= self._once_read(found)

    def _overwritten(self, gone: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
        """Bindings that only calls that went have read before the name is bound again."""
        inside = {id(node) for each in gone for node in ast.walk(each)}
        yield from (
            each
            for each in self._dead_in(self._function.body, guarded=False)
            if id(each) not in inside
        )

    def _dead_in(self, block: Sequence[ast.stmt], *, guarded: bool) -> Iterator[ast.stmt]:
        for number, each in enumerate(block):
            name = _bound_alone(each)
            if name in self._local - self._new and is_quiet(each):
                until = next(
                    (n for n in range(number + 1, len(block)) if _bound_alone(block[n]) == name), 0
                )
                if until and self._is_dead(name, block, (number, until), guarded=guarded):
                    yield each
            for inner in blocks(each):
                yield from self._dead_in(inner, guarded=guarded or isinstance(each, _GUARDS))

    def _is_dead(
        self, name: str, block: Sequence[ast.stmt], place: tuple[int, int], *, guarded: bool
    ) -> bool:
        """Whether the value of one statement cannot be read by anything but calls that went."""
        first, until = place
        calls = {id(node) for each in self._calls for node in ast.walk(each)}
        between = [node for each in block[first + 1 : until] for node in ast.walk(each)]
        read = [node for node in between if isinstance(node, ast.Name) and node.id == name]
        if not read or not all(id(node) in calls for node in read):
            return False
        if name in loaded_names(block[until]) or any(isinstance(each, _LEAVES) for each in between):
            return False
        here = {id(node) for each in block for node in ast.walk(each)}
        for node in ast.walk(self._function):
            if isinstance(node, _INNER) and node is not self._function:
                if name in loaded_names(node):
                    return False
            elif (
                guarded and isinstance(node, ast.Name) and node.id == name and id(node) not in here
            ):
                return False  # an error may lead there
        return True

    def _once_read(self, nodes: "Sequence[ast.AST] | set[ast.Call]") -> set[str]:
        names = {name for node in nodes for name in loaded_names(node)}
        for each in ast.walk(self._function):
            if isinstance(each, ast.For) and is_quiet(each):
                own = set(touched(each))
                names |= own if own & names else set()  # what the loop goes through
        return names & self._local - self._new

    def _settle(self, names: set[str]) -> tuple[set[str], list[ast.stmt]]:
        """Leave out names that something else reads or binds."""
        while True:
            statements = list(_binding_only(self._function.body, names))
            gone = {id(node) for each in (*statements, *self._calls) for node in ast.walk(each)}
            read = {
                node.id
                for node in ast.walk(self._function)
                if isinstance(node, ast.Name) and id(node) not in gone
            }
            if not names & read:
                return names, statements if names else []
            names = names - read


def _binding_only(body: Sequence[ast.stmt], names: set[str]) -> Iterator[ast.stmt]:
    """Statements that bind or fill nothing but these names; none that would leave a block empty."""
    for each in body:
        if _touches_only(each, names):
            yield each
            continue
        for inner in blocks(each):
            inside = list(_binding_only(inner, names))
            own = {id(statement) for statement in inner}
            if len([statement for statement in inside if id(statement) in own]) < len(inner):
                yield from inside


def _bound_alone(statement: ast.stmt) -> str:
    """The name that is all that a statement assigns to, or ""."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return ""


def _touches_only(statement: ast.stmt, names: set[str]) -> bool:
    own = set(touched(statement))
    return bool(own) and own <= names and is_quiet(statement)


def touched(statement: ast.stmt) -> Iterator[str]:
    """Names that a quiet statement binds, or whose list it fills."""
    inner = {
        name
        for node in ast.walk(statement)
        if isinstance(node, ast.comprehension)
        for name in bound_names(node.target)
    }
    yield from set(bound_names(statement)) - inner
    for node in ast.walk(statement):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
                yield name
            case _:
                continue


def blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The rows of statements that a compound statement holds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for name in ("body", "orelse", "finalbody"):
        block = getattr(statement, name, None)
        if isinstance(block, list) and block:
            yield block
    for handler in getattr(statement, "handlers", ()):
        yield handler.body
    for case in getattr(statement, "cases", ()):
        yield case.body
