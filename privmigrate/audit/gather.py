"""Gathers the evidence: from files and folders that are named, or from a whole machine."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from privmigrate.audit.evidence import (
    Entry,
    Evidence,
    FilterFile,
    Guarded,
    PolicyFiles,
    Role,
)
from privmigrate.audit.modules import Module, read_module, runnables_of
from privmigrate.audit.runnable import Runnable, runnable_of
from privmigrate.audit.sudoers import Default, Grant, read_sudoers
from privmigrate.audit.tree import Kind, Tree
from privmigrate.diagnostics import Diagnostic, Severity, Span
from privmigrate.errors import InputError
from privmigrate.privsep.knowledge.declared import NOTHING_DECLARED, Declared, parse_declared
from privmigrate.rootwrap.config import RootwrapConfig, parse_config
from privmigrate.rootwrap.filters import bind
from privmigrate.rootwrap.parse import parse_filters
from privmigrate.rootwrap.policy import PRIVSEP_HELPER
from privmigrate.rootwrap.settings import SECTION, Settings, check_settings, parse_settings

T = TypeVar("T")

SUDOERS: Final = "/etc/sudoers"
MAX_FILES: Final = 50_000
_SKIPPED: Final = frozenset({".git", ".tox", ".venv", "node_modules", "__pycache__"})
_SYSTEM_PYTHON: Final = ("/usr/lib/python3", "/usr/local/lib")


@dataclass(slots=True)
class _Gathering:
    tree: Tree
    policies: list[PolicyFiles] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    defaults: list[Default] = field(default_factory=list)
    guarded: list[Guarded] = field(default_factory=list)
    modules: list[Module] = field(default_factory=list)
    unread: list[Diagnostic] = field(default_factory=list)
    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def evidence(self) -> Evidence:
        return Evidence(
            self.tree,
            tuple(self.policies),
            tuple(self.grants),
            tuple(self.defaults),
            tuple(self.guarded),
            tuple(self.modules),
            tuple(self._runnables()),
            tuple(self.unread),
            tuple(self.texts.items()),
        )

    def _runnables(self) -> Iterator[Runnable]:
        for policy in self.policies:
            for entry in policy.live:
                if found := runnable_of(entry.rule, entry.bound):
                    yield found
        for module in self.modules:
            yield from runnables_of(module)

    def read(self, path: str) -> bytes | None:
        """Read a file and keep its lines; say so where it cannot be read."""
        data = self.ask(path, self.tree.read)
        if data is not None:
            self.texts[path] = tuple(data.decode("utf-8", "surrogateescape").splitlines())
        return data

    def ask(self, path: str, question: Callable[[str], T]) -> T | None:
        try:
            return question(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.missed(Span(path), f"cannot be read: {reason}")
            return None

    def missed(self, span: Span, why: str) -> None:
        self.unread.append(Diagnostic(span, Severity.WARNING, "unread", why))

    def guard(self, role: Role, path: str, purpose: str) -> None:
        walk = self.tree.walk(path)
        if walk.why and not walk.why.startswith("No such file"):
            self.missed(Span(path), f"cannot be judged: {walk.why}")
        self.guarded.append(Guarded(role, walk, purpose))


def gather(tree: Tree, targets: Sequence[str], *, trust: bool = True) -> Evidence:
    """Look at each target: a rootwrap.conf, a ``.filters`` or Python file, a folder, or /.

    With `trust`, of a rootwrap.conf also who can change it and what it names. Raise InputError
    for a target that is not there.
    """
    gathering = _Gathering(tree)
    for target in targets:
        kind = tree.kind(os.path.abspath(target))  # noqa: PTH100 - a text of the tree
        if kind is None:
            raise InputError(f"{target}: {tree.walk(os.path.abspath(target)).why}")  # noqa: PTH100
        if os.path.normpath(target) == "/":
            _machine(gathering)
        elif kind is Kind.FOLDER:
            _folder(gathering, target, trust=trust)
        else:
            _file(gathering, target, trust=trust)
    return gathering.evidence()


# files and folders


def _file(gathering: _Gathering, path: str, *, trust: bool) -> None:
    if path.endswith(".py"):
        _module(gathering, path)
    elif path.endswith(".filters"):
        file = _filter_file(gathering, path)
        if file is not None:
            gathering.policies.append(PolicyFiles((file,)))
    elif "sudoers" in path:
        _sudoers(gathering, path)
    else:
        _config(gathering, path, trust=trust)


def _folder(gathering: _Gathering, top: str, *, trust: bool) -> None:
    """Everything below a folder that is a rootwrap.conf, filters, or a privsep module."""
    found = False
    known: set[str] = set()
    for folder, names in _walk(gathering, top):
        filters = [f"{folder}/{name}" for name in names if name.endswith(".filters")]
        found = found or bool(filters)
        for name in names:
            path = f"{folder}/{name}"
            if name == "rootwrap.conf":
                found = True
                before = len(gathering.policies)
                _config(gathering, path, trust=trust)
                known.update(f.path for p in gathering.policies[before:] for f in p.files)
            elif name.endswith(".py"):
                found = True
                _module(gathering, path)
        files = [_filter_file(gathering, path) for path in filters if path not in known]
        if any(files):
            gathering.policies.append(PolicyFiles(tuple(file for file in files if file)))
    if not found:
        raise InputError(f"{top}: holds no .filters file, no rootwrap.conf and no Python file")


def _walk(gathering: _Gathering, top: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every folder below `top` with its files; links to folders are not followed."""
    todo = [top.rstrip("/")]
    count = 0
    while todo:
        folder = todo.pop()
        names = gathering.ask(folder, lambda path: gathering.tree.names(_absolute(path)))
        files = []
        for name in names or ():
            count += 1
            if count > MAX_FILES:
                gathering.missed(Span(folder), f"more than {MAX_FILES} files")
                return
            node = gathering.tree.walk(f"{_absolute(folder)}/{name}").steps[-1]
            if node.kind is Kind.FOLDER and node.path == f"{_real(gathering, folder)}/{name}":
                if name not in _SKIPPED:
                    todo.append(f"{folder}/{name}")
            elif node.kind is Kind.FILE:
                files.append(name)
        yield folder, tuple(files)


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - a text of the tree


def _real(gathering: _Gathering, folder: str) -> str:
    end = gathering.tree.walk(_absolute(folder)).end
    return folder if end is None else end.path.rstrip("/")


def _module(gathering: _Gathering, path: str) -> None:
    data = gathering.ask(path, lambda name: gathering.tree.read(_absolute(name)))
    if data is None:
        return
    text = data.decode("utf-8", "replace")
    try:
        module = read_module(text, path)
    except (SyntaxError, ValueError, RecursionError) as error:
        gathering.missed(Span(path, getattr(error, "lineno", 0) or 0), f"is no Python: {error}")
        return
    if module is not None:
        gathering.texts[path] = tuple(text.splitlines())
        gathering.modules.append(module)


def _filter_file(gathering: _Gathering, path: str) -> FilterFile | None:
    data = gathering.ask(path, lambda name: gathering.tree.read(_absolute(name)))
    if data is None:
        return None
    gathering.texts[path] = tuple(data.decode("utf-8", "surrogateescape").splitlines())
    parsed = parse_filters(data, path)
    entries = tuple(Entry(rule, bind(rule)) for rule in parsed.rules)
    return FilterFile(path, parsed, entries)


def _config(gathering: _Gathering, path: str, *, trust: bool) -> None:
    data = gathering.ask(path, lambda name: gathering.tree.read(_absolute(name)))
    if data is None:
        return
    text = data.decode("utf-8", "surrogateescape")
    gathering.texts[path] = tuple(text.splitlines())
    problems: list[Diagnostic] = []
    config: RootwrapConfig | None = None
    found = settings = None
    declared = NOTHING_DECLARED
    try:
        config = parse_config(data, path, {})
        found = parse_settings(data, path)
        if SECTION in found.places:
            declared = _declared(gathering, found)
            settings = found
    except InputError as error:
        problems.append(_bad_config(path, error))
    files = () if config is None else tuple(_filters_path(gathering, config, problems, trust=trust))
    if config is not None and found is not None:
        live = {rule.name for file in files for rule in file.parsed.live}
        try:
            check_settings(found, config, live | {PRIVSEP_HELPER.name})
        except InputError as error:
            problems.append(_bad_config(path, error))
    gathering.policies.append(PolicyFiles(files, config, text, tuple(problems), settings, declared))
    if trust:
        gathering.guard(Role.CONFIG, _absolute(path), "it names the filters and where they are")
    if config is not None and trust:
        _guard_executables(gathering, config, files)


def _bad_config(path: str, error: InputError) -> Diagnostic:
    """What is wrong, where the message says that it is."""
    place, mark, message = str(error).partition(": error: ")
    file, *numbers = place.rsplit(":", 2)
    if mark and place == path:
        return Diagnostic(Span(path), Severity.ERROR, "bad-config", message)
    if mark and file == path and all(map(str.isdigit, numbers)):
        span = Span(path, *map(int, numbers))
        return Diagnostic(span, Severity.ERROR, "bad-config", message)
    return Diagnostic(Span(path), Severity.ERROR, "bad-config", str(error))


def _declared(gathering: _Gathering, settings: Settings) -> Declared:
    """What was learned, as the shim would read it; a file that is not there need not be there."""
    path = settings.learned
    if gathering.tree.kind(path) is None and not settings.learned_given:
        return NOTHING_DECLARED
    data = gathering.ask(path, gathering.tree.read)
    if data is None:
        return NOTHING_DECLARED
    return parse_declared(data.decode("utf-8", "replace"), path)


def _filters_path(
    gathering: _Gathering, config: RootwrapConfig, problems: list[Diagnostic], *, trust: bool
) -> Iterator[FilterFile]:
    for folder in config.filters_path:
        if not folder.startswith("/") or gathering.tree.kind(folder) is not Kind.FOLDER:
            why = gathering.tree.walk(_absolute(folder)).why
            if why and not why.startswith("No such file"):
                gathering.missed(Span(folder), f"cannot be judged: {why}")
            problems.append(
                Diagnostic(Span(config.file), Severity.WARNING, "no-such-folder", folder)
            )
            continue
        if trust:
            gathering.guard(Role.FILTERS, folder, "its files say what root runs")
        for name in gathering.ask(folder, gathering.tree.names) or ():
            path = f"{folder.rstrip('/')}/{name}"
            if name.startswith(".") or gathering.tree.kind(path) is not Kind.FILE:
                continue
            if trust:
                gathering.guard(Role.FILTERS, path, "it says what root runs")
            file = _filter_file(gathering, path)
            if file is not None:
                yield file


def _guard_executables(
    gathering: _Gathering, config: RootwrapConfig, files: Iterable[FilterFile]
) -> None:
    for folder in config.exec_dirs:
        if folder.startswith("/"):
            gathering.guard(Role.EXEC_DIR, folder, "executables of the filters are looked up here")
    done: set[str] = set()
    for entry in PolicyFiles(tuple(files)).live:
        if isinstance(entry.bound, Diagnostic):
            continue
        path = entry.bound.exec_path
        places = [path] if path.startswith("/") else [f"{d}/{path}" for d in config.exec_dirs]
        place = next((place for place in places if gathering.tree.kind(place) is not None), None)
        if place is not None and place.startswith("/") and place not in done:
            done.add(place)
            gathering.guard(Role.EXECUTABLE, place, f"the filter {entry.name} runs it")


# a machine


def _machine(gathering: _Gathering) -> None:
    """Sudoers, every rootwrap.conf that they or /etc name, and all that these stand on."""
    grants = _sudoers(gathering, SUDOERS)
    configs = dict.fromkeys(_configs_of(gathering, grants))
    for path in configs:
        if gathering.tree.walk(path).end is not None:
            _config(gathering, path, trust=True)
    for grant in grants:
        if grant.command.startswith("/") and not grant.negated and "*" not in grant.command:
            _guard_command(gathering, grant)


def _sudoers(gathering: _Gathering, path: str) -> tuple[Grant, ...]:
    sudo = read_sudoers(gathering.tree, path)
    gathering.grants.extend(sudo.grants)
    gathering.defaults.extend(sudo.defaults)
    gathering.unread.extend(sudo.unread)
    gathering.texts.update(sudo.texts)
    for file in sudo.files:
        gathering.guard(Role.SUDOERS, file, "it says who may become root")
    return sudo.grants


def _configs_of(gathering: _Gathering, grants: Iterable[Grant]) -> Iterator[str]:
    for grant in grants:
        words = (grant.arguments or "").split()
        if is_wrapper(grant) and words and words[0].startswith("/") and "*" not in words[0]:
            yield words[0]
    for name in gathering.ask("/etc", gathering.tree.names) or ():
        path = f"/etc/{name}/rootwrap.conf"
        if gathering.tree.walk(path).end is not None:
            yield path


def is_wrapper(grant: Grant) -> bool:
    """Whether the command is a rootwrap, its daemon included."""
    return grant.name.endswith(("-rootwrap", "-rootwrap-daemon", "oslo-rootwrap"))


def is_helper(grant: Grant) -> bool:
    """Whether the command starts privsep daemons."""
    return grant.name.endswith(("privsep-helper", "privmigrate-helper"))


def _guard_command(gathering: _Gathering, grant: Grant) -> None:
    path = grant.command.rstrip("/")
    gathering.guard(Role.COMMAND, path, f"sudo runs it for {grant.who}")
    words = (grant.arguments or "").split()
    for word in words:
        if is_helper(grant) and word.startswith("/") and "*" not in word:
            gathering.guard(Role.SERVICE_CONFIG, word, "it names the helper's user and context")
    if is_wrapper(grant) or is_helper(grant):
        for place in _python_of(gathering, path):
            gathering.guard(Role.PYTHON, place, f"{path} runs it")


def _python_of(gathering: _Gathering, script: str) -> Iterator[str]:
    """The interpreter of a script, and the folders that it imports from."""
    if gathering.tree.kind(script) is not Kind.FILE:
        return
    data = gathering.ask(script, gathering.tree.read)
    if data is None or not data.startswith(b"#!"):
        return
    words = data.split(b"\n", 1)[0][2:].decode("utf-8", "replace").split()
    if not words or not words[0].startswith("/"):
        return
    yield words[0]
    prefix = os.path.dirname(os.path.dirname(words[0]))  # noqa: PTH120 - texts
    places = [f"{prefix}/lib", *(_SYSTEM_PYTHON if prefix in {"/usr", ""} else ())]
    for place in places:
        names = gathering.tree.names(place) if gathering.tree.kind(place) is Kind.FOLDER else ()
        folders = [place] + [f"{place}/{n}" for n in names if n.startswith("python3.")]
        for folder in folders:
            for packages in ("site-packages", "dist-packages"):
                where = f"{folder}/{packages}"
                if gathering.tree.kind(where) is Kind.FOLDER:
                    yield where
                    if gathering.tree.kind(f"{where}/oslo_rootwrap") is Kind.FOLDER:
                        yield f"{where}/oslo_rootwrap"
