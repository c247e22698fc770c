"""``privmigrate.lock``: what we wrote, so that edits survive. The only writer of users' files.

All files of a package appear at once: they are written beside the package, with what else is in
it linked to them, and the two folders change places in one system call. Where a filesystem cannot
do that, each file is renamed into place, the lock last; an interruption then leaves whole files,
and the next run goes on from there.
"""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from keyword import iskeyword
from pathlib import Path
from typing import Final

from privmigrate.convert.merge import Record, State
from privmigrate.convert.replaced import Replaced, as_json, parse_replaced
from privmigrate.errors import InputError
from privmigrate.linux import _libc
from privmigrate.linux.reading import read_regular

NAME: Final = "privmigrate.lock"
_FORMAT: Final = 1
_STAGING: Final = ".privmigrate-"


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One file as we left it: what is in it, and its hash if nothing in it is a person's."""

    digest: str
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """What an earlier run wrote, by file name."""

    package: str = ""
    files: Mapping[str, LockedFile] = field(default_factory=dict)
    options: tuple[str, ...] = ()  # that decide what is generated, by their names
    replaced: tuple[Replaced, ...] = ()  # calls of which entrypoints have taken the place


@dataclass(frozen=True, slots=True)
class Disk:
    """The package as it stands: no lock where there is no folder yet."""

    lock: Lock | None
    texts: Mapping[str, str]
    folder: str = ""


def read_disk(folder: Path, package: str) -> Disk:
    """Read what is there; raise InputError if the folder is not one of ours."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - one call, and no Path for each
    except FileNotFoundError:
        return Disk(None, {}, str(folder))
    except NotADirectoryError:
        raise InputError(f"{folder}: error: is no folder (choose another --output)") from None
    except OSError as error:
        raise InputError(f"{folder}: error: cannot be read: {error.strerror}") from error
    if NAME not in names:
        if not names:
            return Disk(None, {}, str(folder))
        raise InputError(
            f"{folder}: error: is not empty and has no {NAME}, so it was not written by "
            "privmigrate (choose another --output or --package)"
        )
    text = _read(folder / NAME)
    lock = parse_lock(text, str(folder / NAME))
    if lock.package != package:
        raise InputError(
            f"{folder / NAME}: error: is of the package {lock.package} "
            f"(say --package {lock.package})"
        )
    texts = {name: _read(folder / name) for name in lock.files if name in names}
    return Disk(lock, {**texts, NAME: text}, str(folder))


def _read(path: Path) -> str:
    try:
        text = read_regular(str(path)).decode("utf-8", "surrogateescape")
        # version control may have given it other line ends
        return text.replace("\r\n", "\n")
    except OSError as error:
        raise InputError(f"{path}: error: cannot be read: {error.strerror}") from error


def parse_lock(text: str, file: str) -> Lock:
    """Read a lock; raise InputError for what no run of ours has written."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise InputError(f"{file}:{line}: error: is no JSON: {error}") from error
    try:
        if data["format"] != _FORMAT:
            raise InputError(
                f"{file}: error: has format {data['format']}, and this privmigrate knows {_FORMAT}"
            )
        return Lock(
            str(data["package"]),
            {
                _plain(name): LockedFile(
                    entry["sha256"], tuple(_parse_record(each) for each in entry["units"])
                )
                for name, entry in data["files"].items()
            },
            _texts(data.get("options", [])),
            tuple(map(parse_replaced, data.get("replaced", []))),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{file}: error: is no lock of ours: {error!r}") from error


def _plain(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if kind != "py" or not stem.isidentifier() or iskeyword(stem):
        raise ValueError(f"{name!r} is no file of a package")
    return name


def _parse_record(each: Mapping[str, object]) -> Record:
    return Record(
        identity=str(each["key"]),
        name=_identifier(each["name"]) if each["name"] else "",
        params=tuple(map(_identifier, _texts(each.get("params", [])))),
        sources=_texts(each.get("sources", [])),
        digest=str(each["sha256"]),
        state=State(each.get("state", State.GENERATED.value)),
    )


def _identifier(name: object) -> str:
    """What is printed into code as a name; anything else would be printed as code."""
    if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
        raise ValueError(f"{name!r} is no name")
    return name


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(map(str, value))


def print_lock(lock: Lock) -> str:
    """The lock as text: sorted, one unit a line, so that changes are readable."""
    files = []
    for name, entry in sorted(lock.files.items()):
        units = ",\n".join(
            "    " + json.dumps(_record_as_json(each), ensure_ascii=True) for each in entry.records
        )
        head = f'{json.dumps(name)}: {{"sha256": {json.dumps(entry.digest)}, "units": ['
        files.append(f"  {head}\n{units}\n  ]}}" if units else f"  {head}]}}")
    body = ",\n".join(files)
    head = f'"format": {_FORMAT}, "package": {json.dumps(lock.package)}'
    if lock.options:
        head += f', "options": {json.dumps(lock.options)}'
    tail = ""
    if lock.replaced:
        lines = sorted(json.dumps(as_json(each), ensure_ascii=True) for each in lock.replaced)
        rows = ",\n".join(f"  {line}" for line in dict.fromkeys(lines))
        tail = f', "replaced": [\n{rows}\n]'
    return f'{{{head}, "files": {{\n{body}\n}}{tail}}}\n'


def _record_as_json(record: Record) -> dict[str, object]:
    data: dict[str, object] = {"key": record.identity, "name": record.name}
    if record.params:
        data["params"] = list(record.params)
    if record.sources:
        data["sources"] = list(record.sources)
    if record.state is not State.GENERATED:
        data["state"] = record.state.value
    data["sha256"] = record.digest
    return data


def write(folder: Path, texts: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Write these files into the package, all or none; raise InputError where that fails.

    `before` is what was read of them: what a person changed since is not overwritten.
    """
    folder = Path(os.path.realpath(folder))
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: error: is no folder")  # exchanged, it would be lost
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise InputError(f"{folder.parent}: error: cannot be written: {error.strerror}") from error
    try:
        _stage(folder, staging, texts)
        for name in texts:
            if (folder / name).exists() and _read(folder / name) != before.get(name):
                raise InputError(f"{folder / name}: error: has been changed just now (try again)")
        _swap(folder, staging, texts)
    except OSError as error:
        raise InputError(f"{folder}: error: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_sources(changes: Mapping[Path, tuple[bytes, bytes]]) -> None:
    """Write files of a service, each (what was read, what it becomes); all or none.

    Everything is written beside its file first, and nothing is put into place if one of them has
    changed since; if putting one into place fails, those before it are put back.
    """
    staged: list[tuple[Path, Path, bytes]] = []
    done: list[tuple[Path, bytes]] = []
    try:
        for name, (before, after) in changes.items():
            path = Path(os.path.realpath(name))
            staged.append((path, _stage_beside(path, after), before))
        for path, _, before in staged:
            if path.read_bytes() != before:
                raise InputError(f"{path}: error: has been changed just now (try again)")
        for path, temporary, before in staged:
            temporary.replace(path)
            done.append((path, before))
    except OSError as error:
        for path, before in done:
            _stage_beside(path, before).replace(path)
        raise InputError(f"{error.filename}: error: cannot be written: {error.strerror}") from error
    finally:
        for _, temporary, _ in staged:
            temporary.unlink(missing_ok=True)
    for folder in {path.parent for path, _ in done}:
        _sync(folder)


def _stage_beside(path: Path, data: bytes) -> Path:
    name = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=_STAGING, dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            _like(path, file.fileno(), 0o666)
    except OSError as error:
        if name is not None:
            os.unlink(name)  # noqa: PTH108 - as mkstemp gave it
        error.filename = str(path)  # it has our name for it, or none
        raise
    return Path(name)


def _remove_leftovers(folder: Path) -> None:
    """What an interrupted run left beside the package."""
    for path in folder.parent.glob(f"{_STAGING}{folder.name}-*"):
        shutil.rmtree(path, ignore_errors=True)


def _stage(folder: Path, staging: Path, texts: Mapping[str, str]) -> None:
    """Write the new files, and link everything else that is in the package."""
    for name, text in texts.items():
        path = staging / name
        with path.open("xb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
            _like(folder / name, file.fileno(), 0o666)
    _like_folder(folder, staging)
    if folder.is_dir():
        _link(folder, staging, frozenset(texts))
    _sync(staging)


def _like(old: Path, new: int, mode: int) -> None:
    """Mode and owner of what is replaced; for what is new, those that the umask leaves.

    By the descriptor: whoever may write the folder may have put a link in the place of the name.
    """
    try:
        info = old.stat()
    except OSError:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(new, mode & ~umask)
        return
    os.fchmod(new, stat.S_IMODE(info.st_mode))
    with suppress(PermissionError):
        os.fchown(new, info.st_uid, info.st_gid)


def _like_folder(old: Path, new: Path) -> None:
    descriptor = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _like(old, descriptor, 0o777)
    finally:
        os.close(descriptor)


def _link(source: Path, target: Path, written: frozenset[str]) -> None:
    for entry in os.scandir(source):
        if entry.name in written:
            continue
        to = target / entry.name
        if os.path.lexists(to) or entry.name == "__pycache__":
            continue
        if entry.is_symlink():
            to.symlink_to(os.readlink(entry.path))  # noqa: PTH115
        elif entry.is_dir():
            to.mkdir()
            _like_folder(Path(entry.path), to)
            _link(Path(entry.path), to, frozenset())
        else:
            os.link(entry.path, to, follow_symlinks=False)


def _swap(folder: Path, staging: Path, texts: Mapping[str, str]) -> None:
    if not folder.exists():
        staging.rename(folder)
        _sync(folder.parent)
        return
    try:
        _libc.exchange(str(staging), str(folder))
    except OSError:
        # no such call, or a filesystem of several layers
        last = sorted(texts, key=lambda name: name == NAME)
        for name in last:
            (staging / name).replace(folder / name)
        _sync(folder)
        return
    _sync(folder.parent)
    # what somebody made while we were writing
    _link(staging, folder, frozenset(texts))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
