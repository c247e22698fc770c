"""Privsep modules, oslo.privsep's and ours, read by `ast`: contexts, entrypoints, commands.

Nothing is imported.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from privmigrate.audit.dataflow import Execution, Function, Reader, dotted, span_of
from privmigrate.audit.runnable import Runnable, Shape
from privmigrate.diagnostics import Span
from privmigrate.errors import PrivmigrateError
from privmigrate.linux.capabilities import CapabilitySet

_ENTRYPOINTS: Final = ("entrypoint", "entrypoint_with_timeout")
_OURS: Final = "privmigrate"

__all__ = ("Context", "Entrypoint", "Execution", "Module", "dotted", "read_module", "span_of")


@dataclass(frozen=True, slots=True)
class Context:
    """One PrivContext; `capabilities` is None where they cannot be told from the source."""

    span: Span
    name: str
    prefix: str | None
    runtime: str
    capabilities: tuple[str, ...] | None
    node: ast.Call


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """One function that runs in a daemon.

    Attributes:
        context: by its name in the source.
        limit: the capabilities of its commands, where the runtime holds them to these.
        tainted: names that hold something which callers choose.
    """

    span: Span
    name: str
    node: Function
    context: str
    runtime: str
    limit: CapabilitySet | None
    executions: tuple[Execution, ...]
    tainted: frozenset[str]

    @property
    def parameters(self) -> tuple[ast.arg, ...]:
        """All of them, ``*args`` and ``**kwargs`` included."""
        arguments = self.node.args
        several = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
        return (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *several)

    @property
    def own_parameters(self) -> tuple[ast.arg, ...]:
        """Those that are the caller's: not self, and not the prefix of a generated command."""
        return tuple(p for p in self.parameters if p.arg not in {"self", "cls", "under"})

    def calls(self) -> Iterator[ast.Call]:
        """Every call in its body."""
        for statement in self.node.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    yield node

    def is_tainted(self, node: ast.AST) -> bool:
        """Whether an expression mentions something that callers choose."""
        return any(isinstance(n, ast.Name) and n.id in self.tainted for n in ast.walk(node))


@dataclass(frozen=True, slots=True)
class Module:
    """One source file with contexts or entrypoints."""

    path: str
    tree: ast.Module
    contexts: tuple[Context, ...]
    entrypoints: tuple[Entrypoint, ...]


def read_module(text: str, path: str) -> Module | None:
    """Read a source file; None if it has neither a context nor an entrypoint.

    Raise SyntaxError or ValueError where Python would not read it.
    """
    if "entrypoint" not in text and "PrivContext" not in text:
        return None
    tree = ast.parse(text, path)
    runtime = _runtime_of(tree)
    contexts = tuple(_contexts(tree, path, runtime))
    executables = _executables(tree)
    entrypoints = tuple(
        _entrypoint(node, context, path, runtime, executables)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (context := _context_of(node))
    )
    return Module(path, tree, contexts, entrypoints) if contexts or entrypoints else None


def runnables_of(module: Module) -> Iterator[Runnable]:
    """The commands of its entrypoints."""
    for entrypoint in module.entrypoints:
        for execution in entrypoint.executions:
            yield Runnable(
                execution.span,
                entrypoint.name,
                "entrypoint",
                execution.program.rpartition("/")[2],
                "root",
                Shape(execution.slots, execution.rest),
                entrypoint.limit,
            )


def _runtime_of(tree: ast.Module) -> str:
    """``privmigrate`` where commands are held to their capabilities, else ``oslo``."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if any(name.startswith("oslo_privsep") for name in names):
            return "oslo"
        if any(name.partition(".")[0] == _OURS for name in names):
            return _OURS
    return "oslo"


def _contexts(tree: ast.Module, path: str, runtime: str) -> Iterator[Context]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        call = node.value
        if dotted(call.func).rpartition(".")[2] != "PrivContext":
            continue
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        prefix = call.args[0] if call.args else keywords.get("prefix")
        yield Context(
            span_of(path, node),
            dotted(node.targets[0]),
            prefix.value
            if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str)
            else None,
            runtime,
            _names(_resolved(tree, keywords.get("capabilities"))),
            call,
        )


def _resolved(tree: ast.Module, node: ast.expr | None) -> ast.expr | None:
    """What a name stands for that the module assigns once."""
    if not isinstance(node, ast.Name):
        return node
    values = [
        statement.value
        for statement in ast.walk(tree)
        if isinstance(statement, ast.Assign)
        and any(
            isinstance(target, ast.Name) and target.id == node.id for target in statement.targets
        )
    ]
    return values[0] if len(values) == 1 else node


def _names(node: ast.expr | None) -> tuple[str, ...] | None:
    """``[capabilities.CAP_CHOWN, ...]`` as names."""
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None
    names = [dotted(element).rpartition(".")[2] for element in node.elts]
    return tuple(names) if all(name.startswith("CAP_") for name in names) else None


def _context_of(node: Function) -> str:
    for decorator in node.decorator_list:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        context, _, name = dotted(function).rpartition(".")
        if name in _ENTRYPOINTS and context:
            return context
    return ""


def _limit_of(node: Function) -> CapabilitySet | None:
    """What ``@command(capabilities=...)`` says."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call):
            for keyword in decorator.keywords:
                names = _names(keyword.value) if keyword.arg == "capabilities" else None
                if names is not None:
                    try:
                        return CapabilitySet.parse(" ".join(names) or "none")
                    except (PrivmigrateError, ValueError):
                        return None
    return None


def _executables(tree: ast.Module) -> dict[str, str]:
    """Module-level ``FIND = Executable("find", ...)``, and constants."""
    found = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value = node.value
        if isinstance(value, ast.Call) and dotted(value.func).endswith("Executable") and value.args:
            value = value.args[0]
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found[node.targets[0].id] = value.value
    return found


def _entrypoint(
    node: Function, context: str, path: str, runtime: str, executables: dict[str, str]
) -> Entrypoint:
    arguments = node.args
    several = [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *several)
    reader = Reader(path, node, executables, {p.arg: p for p in every})
    limit = _limit_of(node) if runtime == _OURS else None
    return Entrypoint(
        span_of(path, node),
        node.name,
        node,
        context,
        runtime,
        limit,
        tuple(reader.executions()),
        reader.tainted,
    )
