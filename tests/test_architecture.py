"""Who may import whom, who may do what is dangerous, and how large a file may grow.

The rules are tables at the top; a reviewer who asks "who forks?" reads one line.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Final

from tools.modules import PACKAGE, Module, load_modules, matches

# Lower first. A module imports its own package and lower layers only: two packages in the same
# layer do not know each other. A name stands for the module and for everything below it.
LAYERS: Final = (
    ("diagnostics", "errors", "examples"),
    ("argv", "linux"),
    ("rootwrap", "callsites", "observe"),
    ("privsep",),
    ("shim", "convert", "audit", "learn"),
    ("cli", "testing"),
    ("__main__",),
)
# What is on one's own level may be imported here: three leaves that describe each other.
LEAVES: Final = LAYERS[0]

# Modules that know each other, with the reason; also by imports that wait in a function, or that
# only type checkers read. A type or a constant that two need belongs below both.
CIRCLES: Final = {
    (
        "callsites.analysis", "callsites.binding", "callsites.calls", "callsites.changes",
        "callsites.constants", "callsites.flow", "callsites.invocation", "callsites.loops",
        "callsites.making", "callsites.passed", "callsites.resolve",
    ): "a value may need a call's, the call its function's, and the function its expressions'",
    (
        "privsep.client.aio", "privsep.client.channel",
    ): "a channel makes the connection of an event loop, which counts as one of the channel's",
    (
        "privsep.client.launch", "privsep.context", "privsep.daemon.main",
    ): "one object, two lives: a context starts its daemon, and the daemon is told which it is",
    (
        "privsep.daemon.answer_call", "privsep.daemon.answer_control", "privsep.daemon.collection",
        "privsep.daemon.connection", "privsep.daemon.requests", "privsep.daemon.serve",
        "privsep.daemon.worker",
    ): "who serves looks handlers up in a table, and a handler is told who serves",
    (
        "privsep.options", "privsep.settings",
    ): "oslo.config is loaded only where somebody uses it, and then says what the settings are",
}  # fmt: skip

# What trusted modules may import besides the standard library and each other.
TRUSTED_LIBRARIES: Final = {
    "msgpack": ("privsep/messages.py",),
    "prctl": ("linux/*",),
    "oslo_rootwrap": ("rootwrap/oracle.py",),
    "oslo_config": ("privsep/options.py",),
    "pyroute2": ("privsep/netlink.py",),  # where a context asks for it
}

# Modules of a library, and the only files that may import them.
LIBRARY_DOORS: Final = {
    "libcst": ("convert/render.py", "convert/rewrite.py"),
    "ctypes": ("linux/_libc.py",),
    "_ctypes": ("shim/client.py",),
    "msgpack": ("privsep/messages.py",),
    "pyroute2": ("privsep/netlink.py",),
    "subprocess": ("linux/spawn.py",),
    "_posixsubprocess": ("linux/spawn.py",),
    "multiprocessing": (),
    "importlib": ("privsep/daemon/load.py", "audit/engine.py", "cli/__init__.py"),
    "pickle": (),
    "marshal": ("shim/script.py",),
    "shelve": (),
}

# Calls, as they are spelled, and the only files that may make them.
CALL_DOORS: Final = {
    "os.fork": ("privsep/client/launch.py", "privsep/daemon/main.py"),
    "os.forkpty": (),
    "posix.fork*": ("shim/client.py",),
    "posix.posix_spawn*": ("shim/client.py",),
    "posix.exec*": ("shim/client.py",),
    "os.posix_spawn": ("linux/spawn.py",),
    "os.posix_spawnp": (),
    "os.exec*": ("linux/spawn.py",),
    "os.spawn*": (),
    "os.system": (),
    "os.popen": (),
    "os.setns": ("linux/netns.py",),
    "os.unshare": ("linux/netns.py",),
    "eval": (),
    "exec": (),
    "compile": ("shim/script.py",),
    "__import__": (),
}

# Calls that write files, and who may: the lock writes what convert made.
WRITE_CALLS: Final = (
    "os.replace", "os.rename", "shutil.*", "*.write_text", "*.write_bytes", "*.mkdir", "os.mkdir",
    "os.makedirs", "*.unlink", "*.rmdir", "*.touch", "tempfile.*",
)  # fmt: skip
WRITERS: Final = (
    "convert/lock.py",
    "privsep/natives/*.py",
    "linux/netns.py",  # names of namespaces
    "privsep/client/launch.py",
    "shim/index.py",
    "shim/files.py",
    "shim/install.py",
    "shim/report.py",
    "shim/learning.py",
    "shim/oneshot_main.py",  # its socket
    "shim/rootwrap_main.py",  # its own name
    "shim/rootwrap_daemon_main.py",  # the folder of its socket
    "observe/tracefs.py",  # the folder that is an instance
    "learn/table.py",
)

# Who turns a pattern that is not our own into a matcher.
PATTERN_COMPILERS: Final = (
    "argv/automaton.py",
    "argv/matcher.py",
    # exactly as oslo.rootwrap does
    "shim/client.py",
    "shim/patterns.py",
)

# One file that is installed alone.
LONG_FILES: Final[tuple[str, ...]] = ("shim/client.py",)
MAXIMUM_LINES: Final = 400

MODULES: Final = load_modules()
NAMES: Final = frozenset(module.name for module in MODULES)

Judge = Callable[[Module], Iterable[object]]


def each_module(judge: Judge) -> Callable[[], None]:
    """Make a test of what says what is wrong with one module: it is asked about all of them."""

    def test() -> None:
        judged = {module.name: list(judge(module)) for module in MODULES}
        assert {name: wrong for name, wrong in judged.items() if wrong} == {}

    test.__doc__ = judge.__doc__
    return test


def each_trusted(judge: Judge) -> Callable[[], None]:
    """As `each_module`, of those that may run as root."""
    return each_module(lambda module: judge(module) if module.trusted else ())


def layer_of(name: str) -> tuple[int, str]:
    """The number of the layer, and the package in it, that a dotted name belongs to."""
    package = [*name.split("."), ""][1]
    for number, packages in enumerate(LAYERS):
        if package in packages:
            return number, package
    return -1, package


def our_imports(module: Module) -> list[str]:
    return [imported.name for imported in module.imports() if imported.name in NAMES]


def reached(name: str, arrows: dict[str, set[str]]) -> set[str]:
    """The modules that one imports, or that one of these imports, and so on."""
    found: set[str] = set()
    todo = [name]
    while todo:
        new = arrows[todo.pop()] - found
        found |= new
        todo.extend(new)
    return found


@cache
def calls(module: Module) -> tuple[tuple[str, ast.Call], ...]:
    """Every call whose function is a dotted name, as it is spelled."""
    return tuple(
        (ast.unparse(node.func), node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    )


def may(module: Module, files: tuple[str, ...]) -> bool:
    return matches(module.file, files)


@each_module
def test_every_module_is_in_a_layer_and_imports_only_downwards(module: Module) -> Iterator[str]:
    if module.name == "privmigrate":
        yield from our_imports(module)
        return
    number, package = layer_of(module.name)
    if number < 0:
        yield "is in no layer"
    for name in our_imports(module):
        other, other_package = layer_of(name)
        level = package == other_package or (package in LEAVES and other_package in LEAVES)
        if name != "privmigrate" and not level and other >= number:
            yield name


@each_module
def test_imports_are_absolute(module: Module) -> list[int]:
    return [n.lineno for n in ast.walk(module.tree) if isinstance(n, ast.ImportFrom) and n.level]


def test_no_other_modules_import_each_other() -> None:
    arrows = {module.name: set(module.imported_modules(NAMES)) for module in MODULES}
    reach = {name: reached(name, arrows) for name in NAMES}
    circles = {
        tuple(sorted(other.removeprefix("privmigrate.") for other in ends if name in reach[other]))
        for name, ends in reach.items()
        if name in ends
    }
    assert circles == set(CIRCLES)


@each_trusted
def test_what_may_run_as_root_imports_only_what_is_trusted(module: Module) -> Iterator[str]:
    by_name = {other.name: other for other in MODULES}
    for imported in filter(lambda each: each.executed, module.imports()):
        top = imported.name.partition(".")[0]
        if imported.name in by_name:
            late_client = module.name == "privmigrate.privsep.context" and not imported.at_import
            if not by_name[imported.name].trusted and not late_client:
                yield imported.name
        elif top in sys.stdlib_module_names or top == "privmigrate":
            continue
        elif not may(module, TRUSTED_LIBRARIES.get(top, ())):
            yield imported.name


@each_module
def test_libraries_are_behind_their_doors(module: Module) -> list[str]:
    return [
        f"{imported.name}, line {imported.line}"
        for imported in module.imports()
        for library, files in LIBRARY_DOORS.items()
        if imported.name.partition(".")[0] == library and not may(module, files)
    ]


@each_module
def test_dangerous_calls_are_behind_their_doors(module: Module) -> list[str]:
    return [
        f"{name}, line {node.lineno}"
        for name, node in calls(module)
        for pattern, files in CALL_DOORS.items()
        if matches(name, (pattern,)) and not may(module, files)
    ]


@each_module
def test_nothing_asks_for_a_shell(module: Module) -> list[int]:
    keywords = [keyword for _, node in calls(module) for keyword in node.keywords]
    return [keyword.lineno for keyword in keywords if keyword.arg == "shell"]


@each_module
def test_foreign_patterns_are_compiled_in_one_place(module: Module) -> list[str]:
    """Elsewhere a pattern is a literal or a constant, which is written in capitals."""
    if may(module, PATTERN_COMPILERS):
        return []
    return [
        f"{name}, line {node.lineno}"
        for name, node in calls(module)
        if matches(name, ("re.compile", "re.match", "re.fullmatch", "re.search", "re.sub"))
        and any(isinstance(p, ast.Name) and not p.id.isupper() for p in ast.walk(node.args[0]))
    ]


@each_module
def test_files_are_written_by_the_writer(module: Module) -> Iterator[str]:
    if may(module, WRITERS):
        return
    for name, node in calls(module):
        mode = next((a.value for a in node.args[1:2] if isinstance(a, ast.Constant)), "r")
        opened = name == "open" and isinstance(mode, str) and set(mode) & set("wax+")
        if matches(name, WRITE_CALLS) or opened:
            yield f"{name}, line {node.lineno}"


@each_module
def test_the_daemon_and_the_client_do_not_know_each_other(module: Module) -> Iterator[str]:
    sides = ("privmigrate.privsep.client", "privmigrate.privsep.daemon")
    for side, other in (sides, sides[::-1]):
        if matches(module.name, (side, f"{side}.*")):
            yield from (n for n in our_imports(module) if matches(n, (other, f"{other}.*")))


@each_module
def test_nothing_is_collected_in_module_variables(module: Module) -> Iterator[int]:
    """A list or dict that begins empty at the top of a module exists to be changed later."""
    for node in module.tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        literal = isinstance(value, ast.List | ast.Dict) and not ast.unparse(value).strip("[]{}")
        called = isinstance(value, ast.Call) and ast.unparse(value) in ("set()", "dict()", "list()")
        if literal or called:
            yield node.lineno
    yield from (n.lineno for n in ast.walk(module.tree) if isinstance(n, ast.Global))


@each_module
def test_files_stay_readable(module: Module) -> list[int]:
    lines = len(module.source.splitlines())
    return [lines] if lines > MAXIMUM_LINES and module.file not in LONG_FILES else []


def test_the_exceptions_are_needed() -> None:
    """A door that nobody goes through, or a long file that became short, leaves the tables."""
    files = {module.file: module for module in MODULES}
    assert [f for f in LONG_FILES if len(files[f].source.splitlines()) <= MAXIMUM_LINES] == []


def test_plugin_tables_hold_their_directories() -> None:
    """A plugin is one file and one line of its table; neither is forgotten."""
    for folder in ("rootwrap/filters", "privsep/natives", "callsites/executors"):
        table = PACKAGE / folder / "__init__.py"
        modules = {path.stem for path in (PACKAGE / folder).glob("*.py")} - {"__init__", "base"}
        imported = {
            imported.name.removeprefix(f"privmigrate.{folder.replace('/', '.')}.").split(".")[0]
            for module in MODULES
            if module.path == table
            for imported in module.imports()
            if imported.name.startswith(f"privmigrate.{folder.replace('/', '.')}.")
        }
        assert imported - {"base"} == modules
