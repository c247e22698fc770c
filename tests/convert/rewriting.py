"""Makes sites and uses by hand, for tests of what replaces them."""

import ast
from dataclasses import replace
from typing import Any

from privmigrate.argv import spec
from privmigrate.callsites.site import Convention, Reason, Root, Site, Template, Text, Value, Word
from privmigrate.convert.callers import FileChange, rewrite_file
from privmigrate.convert.document import read
from privmigrate.convert.operation import Hole, Kind, Lit, Op, Param
from privmigrate.convert.replace import Left, Target
from privmigrate.convert.use import Argument, Form, Use
from privmigrate.diagnostics import Span

FILE = "svc/driver.py"
TARGET = Target("svc.privileged", policies=True, entrypoints=frozenset({"files.chmod_777"}))


def op(*words: str, name: str, module: str = "files", keywords: tuple[str, ...] = ()) -> Op:
    """An entrypoint; a word in capitals is a parameter, named like it."""
    command, *rest = words
    params = tuple(
        Param(Kind.WORD, spec.Any(), name=word.lower(), keyword=word.lower() in keywords)
        for word in rest
        if word.isupper()
    )
    numbers = iter(range(len(params)))
    shaped = tuple(Hole(next(numbers)) if word.isupper() else Lit(word) for word in rest)
    return Op(
        command,
        (f"/bin/{command}",),
        command,
        "root",
        "CommandFilter",
        (),
        shaped,
        params,
        module=module,
        name=name,
    )


CHMOD = op("chmod", "777", "PATH", name="chmod_777")


def site(source: str, text: str, **changes: Any) -> Site:
    """The site whose call begins with `text`, which names its executor."""
    tree = ast.parse(source)
    executor = text.partition("(")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == executor:
            segment = ast.get_source_segment(source, node) or ""
            if segment.startswith(text):
                break
    else:
        raise AssertionError(f"there is no {text}")
    span = Span(FILE, node.lineno, node.col_offset + 1, node.end_lineno or 0)
    words = (Word((Text("chmod"),)), Word((Text("777"),)), Word((Value("path", span),)))
    made = Site(
        span,
        "svc.driver",
        "",
        executor,
        Convention.OSLO,
        Root.ALWAYS,
        templates=(Template(words),),
    )
    return replace(made, **changes)


def use(source: str, text: str, *arguments: str, of: Op = CHMOD, **changes: Any) -> Use:
    """A typed use of an entrypoint, with these expressions for its parameters in their order."""
    condition = str(changes.pop("condition", ""))
    stdin = str(changes.pop("stdin", ""))
    under = str(changes.pop("under", ""))
    given = tuple(
        Argument(param.name, expression, param.keyword)
        for param, expression in zip(of.params, arguments, strict=True)
    )
    where = site(source, text, **changes)
    return Use(where, of, Form.TYPED, given, under, stdin, condition=condition)


def rewritten(source: str | bytes, *uses: Use, target: Target | None = None) -> bytes:
    """The file's new bytes; a call that stays is an error."""
    change, left = outcome(source, *uses, target=target)
    assert left == []
    assert change is not None
    return change.after


def outcome(
    source: str | bytes,
    *uses: Use,
    target: Target | None = None,
    others: dict[str, str] | None = None,
) -> tuple[FileChange | None, list[Left]]:
    data = source.encode() if isinstance(source, str) else source
    names = frozenset(f"{each.op.module}.{each.op.name}" for each in uses)
    chosen = target or Target("svc.privileged", policies=True, entrypoints=names)
    document = read(FILE, data, chosen.width)
    return rewrite_file(document, list(uses), chosen, {FILE: document.text, **(others or {})})


NEVER = (
    Reason.REMOTE,
    Reason.REASSIGNED,
    Reason.INJECTED,
    Reason.OPTIONS,
    Reason.SHELL,
    Reason.WRAPPER,
)
