"""One word per thing: what docs/glossary.md calls otherwise is not spelled so in code."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tools.modules import PROJECT, Module, load_modules

# Word in a name that we define -> what the glossary calls it.
NAMES: Final = {
    "whitelist": "policy",
    "blacklist": "policy",
    "ruleset": "policy",
    "userargs": "argv",
    "rpc": "message",
    "packet": "message",
    "launcher": "helper",
    "demote": "drop",
    "jail": "confine",
    "runner": "executor",
    "snapshot": "golden",
    "violation": "finding",
}
COMPOUNDS: Final = {
    "args_list": "argv",
    "search_path": "exec_dirs",
    "caps_list": "CapabilitySet",
    "cap_list": "CapabilitySet",
    "privileged_function": "entrypoint",
}
TEXTS: Final = {
    **COMPOUNDS,
    "whitelist": "policy",
    "blacklist": "policy",
    "userargs": "argv",
    "snapshot test": "golden",
    "privileged function": "entrypoint",
    "capability list": "capability set",
}


def defined_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names that a module gives to functions, classes, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno


def words(name: str) -> list[str]:
    """`SeqPacket_size` -> seq, packet, size; a word in capitals stays whole."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word.lower() for word in spaced.split("_") if word]


@pytest.mark.parametrize("module", load_modules(), ids=lambda module: module.name)
def test_code_uses_the_words_of_the_glossary(module: Module) -> None:
    wrong = []
    for name, line in defined_names(module.tree):
        better = [NAMES[word] for word in words(name) if word in NAMES]
        better += [COMPOUNDS[compound] for compound in COMPOUNDS if compound in name.lower()]
        wrong += [f"line {line}: {name}; the glossary says {word}" for word in better]
    assert wrong == []


@pytest.mark.parametrize(
    "name",
    sorted(
        str(path.relative_to(PROJECT))
        for pattern in ("*.md", "docs/**/*.md", "releasenotes/notes/*.yaml")
        for path in PROJECT.glob(pattern)
        if path.name != "glossary.md"
    ),
)
def test_prose_uses_the_words_of_the_glossary(name: str) -> None:
    text = (PROJECT / name).read_text().lower()
    assert [f"{word}: say {better}" for word, better in TEXTS.items() if word in text] == []


def test_capabilities_are_spelled_as_the_kernel_does() -> None:
    """In prose `CAP_NET_ADMIN`; the lower-case short form belongs to other projects."""
    short = re.compile(r"\b(net_admin|sys_admin|dac_override|dac_read_search|sys_ptrace|net_raw)\b")
    found = [
        f"{path.name}: {match.group()}"
        for path in PROJECT.glob("docs/**/*.md")
        for match in short.finditer(path.read_text())
    ]
    assert found == []


def test_the_words_of_a_name_are_told_apart() -> None:
    assert words("SeqPacket_size") == ["seq", "packet", "size"]
    assert words("SOCK_SEQPACKET") == ["sock", "seqpacket"]
