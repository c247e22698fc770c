"""What callers of one function choose of the commands that it runs.

Names are followed through the assignments of the function, in order, without branches: enough for
entrypoints, which are short. What cannot be told counts as chosen by the caller.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import Final

from privmigrate.audit.annotations import last_name, read_hole, read_slot
from privmigrate.audit.runnable import ANY_WORD, ANYTHING, Slot, fixed
from privmigrate.audit.spread import by_program, command_lines, parts_of, repeated, tail_of
from privmigrate.diagnostics import Span

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Execution:
    """One command that a function runs.

    Attributes:
        program: the word it begins with, "" where that is not a constant.
        begins: what the program's name begins with where only that is one.
        slots: the words behind it; `rest` is what further ones may be.
        chosen_by: parameters that reach the program's name or any number of words.
    """

    span: Span
    node: ast.Call
    program: str
    begins: str
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


MAX_ALTERNATIVES: Final = 16
# What runs a command line, and how it takes it.
_WORDS: Final = ("execute", "trycmd", "run")  # words one by one
_NATIVES: Final = "natives.do"
_LIST: Final = ("run", "call", "check_call", "check_output", "Popen", "getoutput")
_OTHERS: Final = frozenset({"subprocess", "asyncio"})
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
        self._lines = {
            name: rows for name, p in parameters.items() if (rows := command_lines(p.annotation))
        }
        self._annotations = {
            name: p.annotation for name, p in parameters.items() if name not in self._many
        }
        # What a name may stand for at the place that is read; nothing where it cannot be told.
        self._values: dict[str, tuple[ast.expr, ...]] = {}
        self._always = {id(statement) for statement in node.body}
        self._repeated = {
            id(part)
            for loop in ast.walk(node)
            if isinstance(loop, ast.For | ast.AsyncFor | ast.While)
            for part in ast.walk(loop)
        }
        self._found: list[tuple[ast.Call, list[ast.expr]]] = []
        self.tainted = self._follow()

    def _follow(self) -> frozenset[str]:
        tainted = {name for name in self._parameters if name not in {"self", "cls"}}
        for node in _in_order(self._node):
            match node:
                case ast.Assign(targets=targets, value=value):
                    self._bind(targets, value, tainted, node)
                case (
                    ast.AnnAssign(target=target, value=value)
                    | ast.NamedExpr(target=target, value=value)
                ):
                    self._bind([target], value, tainted, node)
                case (
                    ast.For(target=target, iter=value)
                    | ast.comprehension(target=target, iter=value)
                ):
                    self._bind([target], value, tainted, node)
                    self._forget(target)
                case ast.AugAssign(target=ast.Name(id=name), value=value):
                    self._extend(name, value, tainted, node)
                case ast.Expr(
                    value=ast.Call(
                        func=ast.Attribute(value=ast.Name(id=name), attr=attr), args=[*_, value]
                    )
                ) if attr in _ADDERS:
                    self._extend(
                        name, value if attr == "extend" else ast.List([value]), tainted, node
                    )
                case ast.Call():
                    self._found.extend((node, words) for words in self._words(node))
                case _:
                    pass
        return frozenset(tainted)

    def _bind(
        self, targets: list[ast.expr], value: ast.expr | None, tainted: set[str], node: ast.AST
    ) -> None:
        for target in targets:
            names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
            if value is not None and _mentions(value, tainted):
                tainted.update(names)
            for name in names:
                before = () if id(node) in self._always else self._values.get(name, ())
                known = _alternatives(value) if len(names) == 1 else ()
                self._values[name] = (*before, *known) if known else ()
                self._lines.pop(name, None)
                if rows := parts_of(value, self._lines):
                    self._lines[name] = rows

    def _extend(self, name: str, value: ast.expr, tainted: set[str], node: ast.AST) -> None:
        """Words that are added to a list, certainly or perhaps."""
        if _mentions(value, tainted):
            tainted.add(name)
        known = self._values.get(name, ())
        added: list[ast.expr] = [ast.Starred(value)]
        if isinstance(value, ast.List | ast.Tuple):
            repeated = id(node) in self._repeated
            added = [ast.Starred(ast.List(value.elts))] if repeated else value.elts
        longer: tuple[ast.expr, ...] = tuple(
            ast.List([*before.elts, *added]) for before in known if isinstance(before, ast.List)
        )
        if id(node) not in self._always:
            longer = (*known, *longer)
        self._values[name] = longer if len(longer) <= MAX_ALTERNATIVES else ()

    def _forget(self, node: ast.expr) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                self._values[part.id] = ()

    def executions(self) -> Iterator[Execution]:
        """Every call that runs a command, once for each command line that it may be."""
        for node, words in self._found:
            yield self._execution(node, words)

    def _words(self, node: ast.Call) -> Iterator[list[ast.expr]]:
        """The words of the command lines, if the call runs one."""
        name = dotted(node.func)
        module, _, last = name.rpartition(".")
        if name in _SHELL:
            yield list(node.args[:1])
        elif module == "subprocess" and last in _LIST:
            yield from self._listed(node.args[0]) if node.args else ()
        elif module == "os" and last.startswith(("exec", "spawn", "posix_spawn")):
            yield list(node.args)
        elif (
            (last in _WORDS or last.endswith("_execute")) and module not in _OTHERS
        ) or name.endswith(_NATIVES):
            for words in by_program(node.args, self._lines):
                yield from self._expanded(words) if words else ()

    def _expanded(self, words: list[ast.expr]) -> Iterator[list[ast.expr]]:
        """The words with every list that is spread among them."""
        choices = [
            list(self._listed(word.value)) if isinstance(word, ast.Starred) else [[word]]
            for word in words
        ]
        for chosen in islice(product(*choices), MAX_ALTERNATIVES):
            yield [word for part in chosen for word in part]

    def _listed(self, node: ast.expr) -> Iterator[list[ast.expr]]:
        """The elements of a list that may stand here."""
        if isinstance(node, ast.IfExp):
            yield from self._listed(node.body)
            yield from self._listed(node.orelse)
            return
        if name := tail_of(node):
            spread: tuple[ast.expr, ...] = (ast.Starred(node),)
            for row in self._lines.get(name, ((node, *spread),)):
                yield [*row[1:]]
            return
        if not (isinstance(node, ast.Name) and node.id in self._values) and (
            words := repeated(node, self._annotations)
        ):
            yield [*words]
            return
        values = self._values.get(node.id, ()) if isinstance(node, ast.Name) else ()
        for value in values or (node,):
            if isinstance(value, ast.List | ast.Tuple):
                yield list(value.elts)
            else:
                yield [ast.Starred(node)]

    def _execution(self, node: ast.Call, words: list[ast.expr]) -> Execution:
        shell = dotted(node.func) in _SHELL or any(
            k.arg == "shell" and not (isinstance(k.value, ast.Constant) and not k.value.value)
            for k in node.keywords
        )
        program = self._program(words[0]) if words else ""
        chosen = list(self._chosen(words[0])) if words and not program else []
        slots: list[Slot] = []
        further: list[Slot] = []
        for word in words[1:]:
            match word:
                case ast.Starred(value=ast.List(elts=elements)):
                    further.extend(map(self._slot, elements))
                case ast.Starred(value=value):
                    chosen.extend(self._chosen(value))
                    further.append(self._rest(value))
                case _:
                    slots.append(self._slot(word))
        if words and isinstance(words[0], ast.Starred):
            further.append(ANY_WORD)
        return Execution(
            span_of(self._path, node),
            node,
            program,
            _beginning(words[0]) if words else "",
            tuple(slots),
            _any_of(further),
            tuple(chosen),
            shell,
        )

    def _program(self, word: ast.expr) -> str:
        match word:
            case ast.Constant(value=str() as text):
                return text
            case ast.Name(id=name) if name in self._executables and name not in self._parameters:
                return self._executables[name]
            case ast.Name(id=name) if len(values := self._values.get(name, ())) == 1 and (
                isinstance(values[0], ast.Constant)
            ):
                return str(values[0].value)
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
            case ast.Call(func=function, args=[_, specification]) if last_name(function) == "hole":
                return read_hole(specification)
            case ast.JoinedStr(values=parts):
                return self._joined(parts)
            case _ if _mentions(word, self.tainted):
                return ANY_WORD
            case _:
                return Slot(ANYTHING, lambda _: False)

    def _joined(self, parts: list[ast.expr]) -> Slot:
        """Text around holes: where there is one hole, what it takes counts."""
        texts = [part.value if isinstance(part, ast.Constant) else None for part in parts]
        head = str(texts[0]) if texts and texts[0] is not None else ""
        tail = str(texts[-1]) if len(texts) > 1 and texts[-1] is not None else ""
        holes = [part.value for part in parts if isinstance(part, ast.FormattedValue)]
        first = self._slot(holes[0]) if holes else fixed("")
        if len(holes) > 1:
            # what begins the word decides whether it is an option, or a path
            begin = head or first.prefix
            is_held = not head and not first.accepts("-x")
            return Slot(
                f"{head}{ANYTHING}",
                lambda text: (
                    text.startswith(head)
                    and text.endswith(tail)
                    and not (is_held and text.startswith("-"))
                ),
                begin,
                tail,
            )
        return Slot(
            f"{head}{ANYTHING}{tail}" if holes else head,
            lambda text: (
                len(text) >= len(head) + len(tail)
                and text.startswith(head)
                and text.endswith(tail)
                and first.accepts(text[len(head) : len(text) - len(tail)])
            ),
            head + first.prefix,
            tail,
        )


def _in_order(node: Function) -> list[ast.AST]:
    """What a function does, as it is written."""
    steps = [part for part in ast.walk(node) if hasattr(part, "lineno")]
    steps += [part for part in ast.walk(node) if isinstance(part, ast.comprehension)]
    return sorted(steps, key=lambda part: getattr(part, "lineno", 0))


def _any_of(slots: list[Slot]) -> Slot | None:
    """What each further word may be."""
    if not slots:
        return None
    if ANY_WORD in slots or len(slots) == 1:
        return ANY_WORD if ANY_WORD in slots else slots[0]
    return Slot(ANYTHING, lambda word: any(slot.accepts(word) for slot in slots))


def _alternatives(value: ast.expr | None) -> tuple[ast.expr, ...]:
    """What is assigned: one of two where a condition decides."""
    if isinstance(value, ast.IfExp):
        return (*_alternatives(value.body), *_alternatives(value.orelse))
    return () if value is None else (value,)


def _beginning(word: ast.expr) -> str:
    """The text that a word begins with, whatever follows."""
    match word:
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Add()):
            return text
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mod()):
            return text.partition("%")[0]
        case ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
            return text
        case _:
            return ""


def _mentions(node: ast.AST, names: set[str] | frozenset[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))
