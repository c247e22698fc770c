"""The file that what was learned is kept in, with its evidence: TOML that `convert` reads.

A person's own rows may stand in the same file. They are above the mark, and are left as they are
to the byte; below it everything is ours, and written anew each time.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from privmigrate.errors import InputError
from privmigrate.learn.experiment import Learned
from privmigrate.learn.report import remarks_of
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.reading import read_regular
from privmigrate.privsep.knowledge.learned import KEY, entries_of, rows_of

MARK: Final = "# ---- learned: privmigrate learn writes everything below this line anew ----"
_HEAD: Final = """\
# What commands need. Rows of your own belong above the next line: command = ["CAP_CHOWN"]
"""
# Words that say what to work on, not what to do: numbers, owners, addresses, paths, UUIDs.
_OPERAND: Final = re.compile(
    r"[\d.:,+-]*\d[\d.:,/+-]*|(?=.*\d)[0-9a-fA-F:.-]*[:-][0-9a-fA-F:.-]*|.*/.*"
)
_OPTION: Final = re.compile(r"--?[A-Za-z][\w-]*")
_ASSIGNMENT: Final = re.compile(r"([\w.-]+)=.*", re.DOTALL)

Entry = Mapping[str, object]


def form_of(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The words that make a command line what it is: options, subcommands, names of settings.

    What is left out may be anything in a command line that the row is applied to, so only what
    is certainly an operand is left out.
    """
    words = []
    for word in argv[1:]:
        option = _OPTION.match(word) if word.startswith("-") else None
        assignment = _ASSIGNMENT.fullmatch(word)
        if option is not None:
            words.append(option[0])
        elif assignment is not None:
            words.append(assignment[1])
        elif word and not _OPERAND.fullmatch(word):
            words.append(word)
    return tuple(words)


def check_form(words: tuple[str, ...]) -> None:
    """Refuse what the table of commands would read as something else; raise InputError."""
    for word in words:
        if "|" in word or word.startswith("-*") or word.split() != [word]:
            raise InputError(f"{word!r} cannot stand in a row: say with --form which words count")


def entry_of(learned: Learned, words: tuple[str, ...], answered: str) -> Entry:
    """What is written of one command."""
    check_form(words)
    root, service = learned.root, learned.service
    return {
        "argv": list(learned.argv),
        "words": list(words),
        "root_status": root.status,
        "root": list(root.capabilities.names),
        "service_status": "not exercised" if service is None else service.status,
        "service": [] if service is None else list(service.capabilities.names),
        "kernel": learned.kernel,
        "source": learned.source,
        "executable": learned.executable,
        "exit_code": learned.code,
        "compared": list(learned.compared),
        "set_up": learned.set_up,
        "check": learned.check,
        "clean_up": learned.clean_up,
        "repeatable": answered,
        "root_runs": root.runs,
        "root_candidate": _names(root.candidate),
        "service_runs": 0 if service is None else service.runs,
        "service_candidate": [] if service is None else _names(service.candidate),
        "learned": datetime.now(UTC).date().isoformat(),
        "remarks": list(remarks_of(learned)),
    }


def record(path: str, entries: list[Entry]) -> None:
    """Add entries to the file, in place of those of the same command lines; raise InputError."""
    own, before = _read(path)
    fresh = {_key(entry): entry for entry in entries}
    kept = {_key(entry): entry for entry in before if _key(entry) not in fresh}
    everything = [entry for _, entry in sorted({**kept, **fresh}.items())]
    text = f"{own}{MARK}\n{''.join(map(_render, everything))}"
    rows_of(tomllib.loads(text), path)  # what we write we can read
    _replace(Path(path), text)


def check_path(path: str) -> None:
    """Refuse now what could not be written after an hour of learning; raise InputError."""
    if not path:
        raise InputError("--output: error: the name of the file is empty")
    _read(path)
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path}: error: there is no folder {folder}")


def _read(path: str) -> tuple[str, list[Entry]]:
    """The text above the mark, and the entries below it."""
    try:
        text = read_regular(path).decode()
    except FileNotFoundError:
        return _HEAD, []
    except OSError as error:
        raise InputError(f"{path}: error: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: error: is not in UTF-8: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: error: is no TOML: {error}") from error
    rows_of(data, path)
    own, mark, _ = text.partition(f"{MARK}\n")
    if not mark and KEY in data:
        raise InputError(f"{path}: error: has [[{KEY}]] and not the line {MARK!r} above it")
    if not own.endswith("\n") and own:
        own += "\n"
    return own, list(entries_of(data, path))


def _key(entry: Entry) -> tuple[str, ...]:
    argv = entry["argv"]
    return tuple(map(str, argv)) if isinstance(argv, list) else ()


def _render(entry: Entry) -> str:
    lines = "".join(f"{key} = {_toml(value)}\n" for key, value in entry.items())
    return f"\n[[{KEY}]]\n{lines}"


def _toml(value: object) -> str:
    match value:
        case bool() | int():
            return json.dumps(value)
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            # names of files may be any bytes, TOML may not
            text = str(value).encode("utf-8", "backslashreplace").decode()
            return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _names(capabilities: CapabilitySet | None) -> list[str]:
    return [] if capabilities is None else list(capabilities.names)


def _replace(path: Path, text: str) -> None:
    """Write beside it and rename: a reader finds the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(text)
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise
    except OSError as error:
        raise InputError(f"{path}: error: cannot be written: {error.strerror}") from error
