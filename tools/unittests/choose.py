"""Which unit tests belong to what a rewriting changed, and what each call was before."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tools.rewrite_sources import Rewritten

# Tests that need a service, a database or root of their own.
_ELSEWHERE: Final = frozenset({"functional", "fullstack", "integrated", "compliance", "tempest"})
# A module that more test files than these mention is used by everything.
MANY: Final = 15


def module_of(path: Path) -> str:
    """The dotted name of a module, from its path within the folder of its top-level package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_test(path: Path) -> bool:
    """Whether a file has unit tests."""
    folders = set(path.parts[:-1])
    return path.name.startswith("test_") and "tests" in folders and not folders & _ELSEWHERE


def mentions(text: str, module: str) -> bool:
    """Whether a file imports a module, or has its dotted name."""
    package, _, last = module.rpartition(".")
    if re.search(rf"\b{re.escape(module)}\b", text):
        return True
    imported = rf"from {re.escape(package)} import \(?[^()\n]*\b{re.escape(last)}\b"
    return re.search(imported, text) is not None


def tests_of(root: Path, package: str, changed: Iterable[Path]) -> list[Path]:
    """The test files below `root` that changed, and those of the modules that changed.

    These are the files that mention a module; where that is half the suite, those of its name.
    """
    files = set(changed)
    texts = {
        path.relative_to(root): path.read_text("utf-8", "replace")
        for path in sorted((root / package).rglob("test_*.py"))
        if is_test(path.relative_to(root))
    }
    found = files & texts.keys()
    for path in files - texts.keys():
        module = module_of(path)
        mentioning = [test for test, text in texts.items() if mentions(text, module)]
        if len(mentioning) > MANY:
            mentioning = [test for test in mentioning if test.stem == f"test_{path.stem}"]
        found.update(mentioning)
    return sorted(found)


def facts_of(root: Path, before: Path, done: Rewritten) -> list[dict[str, object]]:
    """For each call that was replaced: where it is now, and how to make the call before.

    The functions come from the tests that compare each call with the one before it.
    """
    functions = dict(_old_functions(root / "proofs"))
    facts: list[dict[str, object]] = []
    for name in sorted({each["file"] for each in done.told["rewritten"]}):
        calls = [each for each in done.told["rewritten"] if each["file"] == name]
        tree = ast.parse((root / name).read_text())
        gone = "\n".join(_lost_imports(ast.parse((before / name).read_text()), tree))
        taken: Counter[str] = Counter()
        places = _places(tree)
        for number, each in enumerate(calls):
            key = ast.dump(ast.parse(each["after"], mode="eval").body)
            at = places.get(key, [])[taken[key] : taken[key] + 1]
            taken[key] += 1
            function = functions.get((name, each["line"], number))
            if each.get("callers"):  # its proofs go through the wrapper
                function = _as_it_was(each["before"])
            if not at or function is None:
                print(f"{name}:{each['line']}: not found again", file=sys.stderr)
                continue
            call = ast.parse(each["before"], mode="eval").body
            if not isinstance(call, ast.Call):
                continue
            facts.append({
                "file": name,
                "first": at[0][0],
                "last": at[0][1],
                "function": function,
                "executor": ast.unparse(call.func),
                "imports": gone,
            })  # fmt: skip
    return facts


def _as_it_was(before: str) -> str:
    """A function that makes a call of this text."""
    call = ast.parse(before, mode="eval").body
    names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    if isinstance(call, ast.Call):
        call.func = ast.Name("execute", ast.Load())
    return f"def before({', '.join(sorted({'execute', *names}))}):\n    return {ast.unparse(call)}"


def _old_functions(folder: Path) -> Iterator[tuple[tuple[str, int, int], str]]:
    for path in sorted(folder.glob("test_*.py")):
        tree = ast.parse(path.read_text())
        name = (ast.get_docstring(tree) or "").removeprefix("Calls of ").partition(" ")[0]
        for test in tree.body:
            if isinstance(test, ast.FunctionDef) and isinstance(test.body[0], ast.FunctionDef):
                _, _, line, number, *_ = test.name.split("_")
                yield (name, int(line), int(number)), ast.unparse(test.body[0])


def _places(tree: ast.Module) -> dict[str, list[tuple[int, int]]]:
    places: dict[str, list[tuple[int, int]]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = (node.lineno, node.end_lineno or node.lineno)
            places.setdefault(ast.dump(node), []).append(place)
    return {key: sorted(found) for key, found in places.items()}


def _lost_imports(before: ast.Module, after: ast.Module) -> Iterator[str]:
    stays = {ast.unparse(node) for node in after.body}
    for node in before.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) not in stays:
            yield ast.unparse(node)
