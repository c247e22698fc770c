"""What callers of one function choose of the commands that it runs.

Names are followed through the assignments of the function, in order, without branches: enough for
entrypoints, which are short. What cannot be told counts as chosen by the caller.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from privmigrate.audit.annotations import read_slot
from privmigrate.audit.runnable import ANY_WORD, ANYTHING, Slot, fixed
from privmigrate.diagnostics import Span

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Execution:
    """One command that a function runs.

    Attributes:
        program: the word it begins with, "" where that is not a constant.
        slots: the words behind it; `rest` is what further ones may be.
        chosen_by: parameters that reach the program's name or any number of words.
    """

    span: Span
    node: ast.Call
    program: str
    slots: tuple[Slot, ...]
    rest: Slot | None
    chosen_by: tuple[str, ...]
    shell: bool


def span_of(path: str, node: ast.expr | ast.stmt | ast.arg) -> Span:
    """Where a node stands."""
    return Span(path, node.lineno, node.col_offset + 1, node.end_lineno or 0)


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a name, or "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


# What runs a command line, and how it takes it.
_WORDS: Final = ("execute", "trycmd", "run")  # words one by one
_LIST: Final = ("run", "call", "check_call", "check_output", "Popen", "getoutput")
_ADDERS: Final = frozenset({"append", "extend", "insert"})
_SHELL: Final = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput")


class Reader:
    """Follows what callers choose through one function."""

    def __init__(
        self, path: str, node: Function, executables: dict[str, str], parameters: dict[str, ast.arg]
    ) -> None:
        self._path = path
        self._node = node
        self._executables = executables
        self._parameters = parameters
        several = (node.args.vararg, node.args.kwarg)
        self._many = {p.arg for p in several if p is not None}
        self._values: dict[str, ast.expr | None] = {}
        self._extended: set[str] = set()  # lists to which something is added later
        self.tainted = self._follow()

    def _follow(self) -> frozenset[str]:
        tainted = {name for name in self._parameters if name not in {"self", "cls"}}
        for node in ast.walk(self._node):
            match node:
                case ast.Assign(targets=targets, value=value):
                    self._bind(targets, value, tainted)
                case (
                    ast.AnnAssign(target=target, value=value)
                    | ast.NamedExpr(target=target, value=value)
                ):
                    self._bind([target], value, tainted)
                case (
                    ast.For(target=target, iter=value)
                    | ast.comprehension(target=target, iter=value)
                ):
                    self._forget(target)
                    self._bind([target], value, tainted)
                case ast.AugAssign(target=ast.Name(id=name), value=value):
                    self._extend(name, [value], tainted)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr)) if (
                    attr in _ADDERS
                ):
                    self._extend(name, node.args, tainted)
        return frozenset(tainted)

    def _bind(self, targets: list[ast.expr], value: ast.expr | None, tainted: set[str]) -> None:
        for target in targets:
            names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
            if value is not None and _mentions(value, tainted):
                tainted.update(names)
            for name in names:
                known = name not in self._values and len(names) == 1
                self._values[name] = value if known else None

    def _extend(self, name: str, values: list[ast.expr], tainted: set[str]) -> None:
        self._extended.add(name)
        if any(_mentions(value, tainted) for value in values):
            tainted.add(name)

    def _forget(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self._values[node.id] = None

    def executions(self) -> Iterator[Execution]:
        """Every call that runs a command."""
        for node in ast.walk(self._node):
            if isinstance(node, ast.Call) and (words := self._words(node)) is not None:
                yield self._execution(node, words)

    def _words(self, node: ast.Call) -> list[ast.expr] | None:
        """The words of the command line, if the call runs one."""
        name = dotted(node.func)
        module, _, last = name.rpartition(".")
        if name in _SHELL:
            return list(node.args[:1])
        if module == "subprocess" and last in _LIST:
            return self._listed(node.args[0]) if node.args else []
        if module == "os" and last.startswith(("exec", "spawn", "posix_spawn")):
            return list(node.args)
        if last in _WORDS and module not in {"subprocess", "asyncio"} and node.args:
            return list(node.args)
        return None

    def _listed(self, node: ast.expr) -> list[ast.expr]:
        more: list[ast.expr] = []
        if isinstance(node, ast.Name) and (value := self._values.get(node.id)) is not None:
            more = [ast.Starred(node)] if node.id in self._extended else []
            node = value
        if isinstance(node, ast.List | ast.Tuple):
            return [*node.elts, *more]
        return [ast.Starred(node)]

    def _execution(self, node: ast.Call, words: list[ast.expr]) -> Execution:
        shell = dotted(node.func) in _SHELL or any(
            k.arg == "shell" and not (isinstance(k.value, ast.Constant) and not k.value.value)
            for k in node.keywords
        )
        expanded: list[ast.expr] = []
        for word in words:
            expanded.extend(self._listed(word.value) if isinstance(word, ast.Starred) else [word])
        program = self._program(expanded[0]) if expanded else ""
        chosen = list(self._chosen(expanded[0])) if expanded and not program else []
        slots: list[Slot] = []
        rest: Slot | None = None
        for word in expanded[1:]:
            if isinstance(word, ast.Starred):
                chosen.extend(self._chosen(word))
                rest = self._rest(word.value)
            else:
                slots.append(self._slot(word))
        if expanded and isinstance(expanded[0], ast.Starred):
            rest = ANY_WORD
        span = span_of(self._path, node)
        return Execution(span, node, program, tuple(slots), rest, tuple(chosen), shell)

    def _program(self, word: ast.expr) -> str:
        match word:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name) if name in self._executables and name not in self._parameters:
                return self._executables[name]
            case ast.Name(id=name) if isinstance(value := self._values.get(name), ast.Constant):
                return str(value.value)
            case _:
                return ""

    def _chosen(self, word: ast.expr) -> Iterator[str]:
        for part in ast.walk(word):
            if isinstance(part, ast.Name) and part.id in self.tainted:
                yield part.id

    def _rest(self, value: ast.expr) -> Slot:
        """What each further word may be: of ``*args`` with an annotation, what that says."""
        if isinstance(value, ast.Name) and value.id in self._many:
            return read_slot(self._parameters[value.id].annotation)
        return ANY_WORD if _mentions(value, self.tainted) else Slot(ANYTHING, lambda _: False)

    def _slot(self, word: ast.expr) -> Slot:
        match word:
            case ast.Constant(value=value):
                return fixed(str(value))
            case ast.Name(id=name) if name in self._parameters and name not in self._values:
                return read_slot(self._parameters[name].annotation)
            case ast.Name(id=name) if name in self._executables and name not in self._values:
                return fixed(self._executables[name])
            case ast.JoinedStr(
                values=[ast.Constant(value=str() as head), ast.FormattedValue() as hole]
            ):
                inner = self._slot(hole.value)
                return Slot(
                    f"{head}{ANYTHING}",
                    lambda text: text.startswith(head) and inner.accepts(text[len(head) :]),
                    head + inner.prefix,
                )
            case _ if _mentions(word, self.tainted):
                return ANY_WORD
            case _:
                return Slot(ANYTHING, lambda _: False)


def _mentions(node: ast.AST, names: set[str] | frozenset[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))
