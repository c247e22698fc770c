"""Every example beside the code is true, and every kind of plugin has the kinds that it needs.

A kind of plugin is one entry of `KINDS`: where its examples are, which kinds of example each
plugin needs, and how one is run.
"""

import contextlib
import os
import stat
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from oslo_rootwrap import wrapper

from privmigrate.callsites import Settings, find_sites
from privmigrate.callsites.executors import EXECUTORS
from privmigrate.callsites.text import template_text
from privmigrate.examples import Allow, Clean, Deny, Finds, Ignored, Kept, Same, Yields
from privmigrate.privsep import netlink
from privmigrate.privsep.execute import Executable
from privmigrate.privsep.natives import NATIVES, Native, find
from privmigrate.privsep.natives.base import LeftToTool
from privmigrate.privsep.running import ExecResult
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters import FILTERS, Filter, bind
from privmigrate.rootwrap.parse import parse_filters

Example = Allow | Deny | Finds | Clean | Same | Kept | Yields | Ignored

# {pid} in the examples of KillFilter is a process that executes {exe}: this one; {device} in those
# of natives is a block device.
PROCESS: Final = {
    "{pid}": str(os.getpid()),
    "{exe}": os.path.realpath("/proc/self/exe"),
    "{device}": next((str(p) for p in Path("/dev").iterdir() if p.is_block_device()), "/dev/null"),
}


def filled(text: str) -> str:
    for name, value in PROCESS.items():
        text = text.replace(name, value)
    return text


def filter_of(definition: str) -> Filter:
    parsed = parse_filters(f"[Filters]\n{filled(definition)}\n".encode(), "example.filters")
    assert parsed.diagnostics == ()
    bound = bind(parsed.rules[0])
    assert isinstance(bound, Filter)
    return bound


def check_filter_example(name: str, example: Example) -> None:
    assert isinstance(example, Allow | Deny)
    bound = filter_of(example.definition)
    assert bound.rule.filter_class == name
    argv = tuple(map(filled, example.argv))
    answer = bound.decide(argv)
    words = list(argv)
    asked = wrapper.build_filter(name, *bound.rule.texts)
    assert asked is not None
    match example:
        case Allow():
            assert isinstance(answer, Allowed)
            assert answer.command.argv == tuple(map(filled, example.runs))
            # oslo.rootwrap allows it too, and runs the same (here without looking for the file)
            assert asked.match(words)
            asked.real_exec = bound.exec_path
            assert tuple(asked.get_command(words)) == answer.command.argv
            assert answer.command.run_as == asked.run_as
        case Deny():
            assert answer == Denied(filled(example.why))


def tree_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """What is in a folder: modes, owners, links, and contents or targets of links."""
    return {
        str(path.relative_to(folder)): (
            *(status.st_mode, status.st_uid, status.st_gid, status.st_nlink),
            os.fsencode(path.readlink()) if path.is_symlink() else b"",
            path.read_bytes() if stat.S_ISREG(status.st_mode) else b"",
        )
        for path in sorted(folder.rglob("*"))
        for status in [path.lstat()]
    }


def native_of(name: str) -> type[Native]:
    assert netlink.is_there(), "pip install privmigrate[netlink]"
    native = find(name)
    assert native is not None, f"{name} is in the table, and find() does not know it"
    return native


def shell(script: str, folder: Path) -> None:
    subprocess.run(["/bin/sh", "-ec", script], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def by_tool(example: Same, argv: tuple[str, ...], folder: Path) -> ExecResult:
    tool = Executable(argv[0], dirs=("/usr/bin", "/bin", "/usr/sbin", "/sbin")).resolve()
    asked = subprocess.run(
        argv,
        executable=tool,
        cwd=folder,
        input=example.stdin,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        umask=0o022,
        capture_output=True,
        check=False,
    )
    return ExecResult(asked.returncode, asked.stdout, asked.stderr)


def natively(example: Same, argv: tuple[str, ...], folder: Path) -> ExecResult:
    native = native_of(argv[0]).recognise(argv)
    assert native is not None
    if hasattr(native, "stdin"):
        native = replace(native, stdin=example.stdin)  # type: ignore[type-var]
    try:
        with contextlib.chdir(folder):
            return native.perform()
    except LeftToTool as left:
        if os.geteuid() == 0:
            raise AssertionError(f"it is left to the tool: {left}") from left
        return by_tool(example, argv, folder)  # it may not do it, and the tool says so


def check_native_example(name: str, example: Example) -> None:
    """Beside the real tool, in two folders that are set up alike."""
    assert isinstance(example, Same | Kept)
    assert example.argv[0] == name
    if isinstance(example, Kept):
        assert native_of(name).recognise(example.argv) is None
        return
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for perform in (by_tool, natively):
            folder = Path(scratch, perform.__name__)
            folder.mkdir()
            argv = tuple(filled(word).replace("{folder}", str(folder)) for word in example.argv)
            shell(example.setup, folder)
            try:
                found.append((perform(example, argv, folder), tree_of(folder)))
            finally:
                shell(example.undo, folder)
    assert found[0] == found[1]


def check_executor_example(name: str, example: Example) -> None:
    """In a module of its own, with no other rule than those of the executors."""
    assert isinstance(example, Yields | Ignored)
    with tempfile.TemporaryDirectory() as scratch:
        module = Path(scratch, "example.py")
        module.write_text(textwrap.dedent(example.source))
        found = find_sites([str(module)], Settings())
    assert found.diagnostics == ()
    texts = tuple(template_text(each) for site in found.sites for each in site.templates)
    assert texts == (example.templates if isinstance(example, Yields) else ())
    assert bool(found.sites) == isinstance(example, Yields)
    convention = EXECUTORS[name].CONVENTION
    assert {site.convention for site in found.sites} <= {convention}


@dataclass(frozen=True)
class Kind:
    """One kind of plugin."""

    plugins: Mapping[str, Iterable[Example]]
    needs: tuple[type[Example], ...]
    check: Callable[[str, Example], None]
    excused: frozenset[str] = frozenset()  # plugins that may lack a kind, for a reason


KINDS: Final = {
    "filter": Kind(
        {name: filter_class.EXAMPLES for name, filter_class in FILTERS.items()},
        (Allow, Deny),
        check_filter_example,
        excused=frozenset({"ChainingFilter"}),  # it allows nothing, and says so
    ),
    "native": Kind(
        {name: native_of(name).EXAMPLES for name in NATIVES},
        (Same, Kept),
        check_native_example,
    ),
    "executor": Kind(
        {name: executor.EXAMPLES for name, executor in EXECUTORS.items()},
        (Yields, Ignored),
        check_executor_example,
    ),
}


def all_examples() -> Iterator[object]:
    for kind_name, kind in KINDS.items():
        for plugin, examples in kind.plugins.items():
            for example in examples:
                title = f"{kind_name}-{plugin}-{example.name}"
                yield pytest.param(kind, plugin, example, id=title)


@pytest.mark.parametrize(("kind", "plugin", "example"), list(all_examples()))
def test_the_example_is_true(kind: Kind, plugin: str, example: Example) -> None:
    try:
        kind.check(plugin, example)
    except (subprocess.CalledProcessError, PermissionError) as error:
        if os.geteuid() == 0:
            raise
        pytest.skip(f"what it stands on needs root: {error}")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_plugin_shows_both_sides(kind: Kind) -> None:
    lacking = [
        f"{plugin} has no {needed.__name__}"
        for plugin, examples in kind.plugins.items()
        for needed in kind.needs
        if plugin not in kind.excused and not any(isinstance(e, needed) for e in examples)
    ]
    assert lacking == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_examples_are_told_apart_by_their_names(kind: Kind) -> None:
    for plugin, examples in kind.plugins.items():
        names = [example.name for example in examples]
        assert len(set(names)) == len(names), plugin


def test_a_false_example_is_found() -> None:
    true = FILTERS["CommandFilter"].EXAMPLES[0]
    assert isinstance(true, Allow)
    with pytest.raises(AssertionError):
        check_filter_example("CommandFilter", replace(true, runs=("/bin/other",)))
    with pytest.raises(AssertionError):
        check_filter_example("CommandFilter", Deny("false", true.definition, true.argv, "no"))


@pytest.mark.root  # others are shown what the tool says where a native leaves a call to it
def test_a_native_that_does_not_do_the_same_is_found() -> None:
    with pytest.raises(AssertionError):
        check_native_example("cat", Same("numbers lines", "echo x > f", ("cat", "-n", "f")))
    with pytest.raises(AssertionError):
        check_native_example("cat", Same("a pipe", "mkfifo f; echo x > f &", ("cat", "f")))
    with pytest.raises(AssertionError):
        check_native_example("cat", Kept("a file", ("cat", "f"), "no reason"))


def test_an_executor_that_yields_other_words_is_found() -> None:
    true = EXECUTORS["processutils"].EXAMPLES[0]
    assert isinstance(true, Yields)
    with pytest.raises(AssertionError):
        check_executor_example("processutils", replace(true, templates=("rm {path}",)))
    with pytest.raises(AssertionError):
        check_executor_example("processutils", Ignored("false", true.source))
