"""Reads ``.filters`` files: what oslo.rootwrap makes of them, with file, line and column.

Where oslo.rootwrap would end with a traceback there is an ERROR diagnostic instead, and where it
drops something silently there is a warning.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from privmigrate.diagnostics import Diagnostic, Severity, Span
from privmigrate.linux.reading import read_regular
from privmigrate.rootwrap import ini
from privmigrate.rootwrap.rule import MINIMUM_VALUES, Rule, Status, Value

SECTION: Final = "Filters"
MISSING_FOLDER: Final = "no-such-folder"

# Classes of the rootwrap copies inside nova and quantum, and what to write in their place.
_FORMER_CLASSES: Final = {
    "DeprecatedDnsmasqFilter": "EnvFilter, dnsmasq, root, FLAGFILE=, NETWORK_ID=",
    "DnsmasqFilter": "EnvFilter, dnsmasq, root, CONFIG_FILE=, NETWORK_ID=",
    "DnsmasqNetnsFilter": "IpNetnsExecFilter, ip, root",
    "DnsmasqVersionFilter": "RegExpFilter, dnsmasq, root, dnsmasq, --version",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """The rules of one file or of several, in the order in which rootwrap asks them.

    Rules that are not LIVE stand beside those that took their place. `Rule.order` is the order of
    the text, which differs where a later entry takes the place of an earlier one of its name.
    """

    rules: tuple[Rule, ...]
    diagnostics: tuple[Diagnostic, ...]

    @property
    def live(self) -> tuple[Rule, ...]:
        """The rules that rootwrap uses."""
        return tuple(rule for rule in self.rules if rule.status is Status.LIVE)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The reasons why rootwrap would not start at all."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)


def parse_filters(data: bytes, file: str) -> Parsed:
    """Read the content of one ``.filters`` file; `file` is only its name in messages."""
    read = ini.parse_ini(data, file)
    diagnostics = list(read.problems)
    if not diagnostics and all(name != SECTION for name, _ in read.sections):
        diagnostics.append(_no_section(read, file))
    diagnostics.extend(_ignored_sections(read))
    rules: list[Rule] = []
    for same_name in _by_name(read.entries):
        *shadowed, live = (_rule(order, entry) for order, entry in same_name)
        rules.extend(replace(rule, status=Status.SHADOWED) for rule in shadowed)
        rules.append(live)
        diagnostics.extend(_about(live))
        diagnostics.extend(_overridden(rule, live) for rule in shadowed if _differ(rule, live))
    return Parsed(tuple(rules), tuple(sorted(diagnostics, key=lambda d: d.span)))


def read_filters(path: str) -> Parsed:
    """Read one ``.filters`` file."""
    try:
        data = read_regular(path)
    except (OSError, ValueError) as error:
        return Parsed((), (_unreadable(path, error, "NoSectionError"),))
    return parse_filters(data, path)


def read_filters_path(dirs: Sequence[str]) -> Parsed:
    """Read every file in the folders of a ``filters_path``, sorted by name within each folder.

    oslo.rootwrap takes files in the order of `os.listdir`, which is undefined; sorted is one of
    the orders it may take. Like it, this skips hidden files, what is not a file, and folders that
    are not there, and looks at no suffix: an editor's backup copy is a filter file too.
    """
    files = [parsed for folder in dirs for parsed in _read_folder(folder)]
    return Parsed(
        tuple(rule for parsed in files for rule in parsed.rules),
        tuple(diagnostic for parsed in files for diagnostic in parsed.diagnostics),
    )


def _read_folder(folder: str) -> Iterator[Parsed]:
    if not os.path.isdir(folder):  # noqa: PTH112 - Path would turn "" into "."
        yield Parsed((), (_missing_folder(folder),))
        return
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are joined as rootwrap joins them
    except OSError as error:
        yield Parsed((), (_unreadable(folder, error, "PermissionError"),))
        return
    for name in names:
        path = os.path.join(folder, name)  # noqa: PTH118 - the same
        if not name.startswith(".") and os.path.isfile(path):  # noqa: PTH113 - the same
            yield read_filters(path)


def _by_name(entries: Iterable[ini.Entry]) -> Iterator[list[tuple[int, ini.Entry]]]:
    """Group what is in force under one name, in the order of RawConfigParser.items().

    Entries of [DEFAULT] come first, and an entry of [Filters] takes the place of its namesake
    there; the last of a group is the one that counts.
    """
    groups: dict[str, list[tuple[int, ini.Entry]]] = {}
    numbered = list(enumerate(entries))
    for section in (ini.DEFAULT, SECTION):
        for order, entry in numbered:
            if entry.section == section:
                groups.setdefault(entry.name, []).append((order, entry))
    yield from groups.values()


def _rule(order: int, entry: ini.Entry) -> Rule:
    filter_class, *values = _values(entry)
    status = Status.LIVE
    if filter_class.text not in MINIMUM_VALUES:
        status = Status.UNKNOWN_CLASS
    elif len(values) < MINIMUM_VALUES[filter_class.text]:
        status = Status.INVALID
    return Rule(
        name=entry.name,
        raw_name=entry.raw_name,
        filter_class=filter_class.text,
        values=tuple(values),
        comments=entry.comments,
        raw=entry.raw,
        span=entry.span,
        order=order,
        status=status,
    )


def _values(entry: ini.Entry) -> Iterator[Value]:
    """Split at every comma: there is no way to write one inside a value."""
    start = 0
    for word in entry.value.split(","):
        text = word.strip()
        begin = start + len(word) - len(word.lstrip()) if text else start
        yield Value(text, entry.locate(begin, begin + len(text)))
        start += len(word) + 1


def _differ(one: Rule, other: Rule) -> bool:
    return (one.filter_class, one.texts) != (other.filter_class, other.texts)


def _about(rule: Rule) -> Iterator[Diagnostic]:
    if rule.status is Status.UNKNOWN_CLASS:
        yield _unknown_class(rule)
    elif rule.status is Status.INVALID:
        needed = MINIMUM_VALUES[rule.filter_class]
        yield Diagnostic(
            rule.span,
            Severity.ERROR,
            "too-few-values",
            f"{rule.raw_name}: {rule.filter_class} needs at least {needed} "
            f"value{'s' if needed > 1 else ''}, {len(rule.values)} given",
            f"write '{_form(rule)}'; rootwrap ends with a TypeError",
        )


def _form(rule: Rule) -> str:
    match rule.filter_class:
        case "KillFilter":
            values = "USER, EXECUTABLE, SIGNAL"
        case "ReadFileFilter":
            values = "FILE"
        case _:
            values = "EXECUTABLE, USER"
    return f"{rule.raw_name}: {rule.filter_class}, {values}"


def _unknown_class(rule: Rule) -> Diagnostic:
    if not rule.filter_class:
        message, advice = "names no filter class", "write 'name: CommandFilter, EXECUTABLE, USER'"
    elif rule.filter_class in _FORMER_CLASSES:
        message = (
            f"{rule.filter_class} was known to the rootwrap inside nova and quantum of 2012, "
            "not to oslo.rootwrap"
        )
        advice = f"remove it, or write '{_FORMER_CLASSES[rule.filter_class]}'"
    else:
        message = f"{rule.filter_class!r} is no filter class"
        advice = "class names are case-sensitive and stand before the first comma"
    return Diagnostic(
        rule.span,
        Severity.WARNING,
        "unknown-filter-class",
        f"{rule.raw_name}: {message}; rootwrap skips the entry",
        advice,
    )


def _overridden(rule: Rule, live: Rule) -> Diagnostic:
    return Diagnostic(
        rule.span,
        Severity.WARNING,
        "overridden",
        f"{rule.raw_name} has no effect: line {live.span.line} gives the name another value",
        "rename one of them if both are meant; case does not count in names",
    )


def _no_section(read: ini.Ini, file: str) -> Diagnostic:
    advice = "put [Filters] above the entries"
    alike = [name for name, _ in read.sections if name.strip().lower() == SECTION.lower()]
    if alike:
        advice = f"write [Filters] instead of [{alike[0]}]"
    return Diagnostic(
        Span(file),
        Severity.ERROR,
        "no-filters-section",
        "has no [Filters] section",
        f"{advice}; rootwrap ends with a NoSectionError",
    )


def _ignored_sections(read: ini.Ini) -> Iterator[Diagnostic]:
    for name, span in read.sections:
        if name not in {SECTION, ini.DEFAULT}:
            yield Diagnostic(
                span,
                Severity.NOTE,
                "ignored-section",
                f"rootwrap ignores the section [{name}]",
                "only [Filters], and [DEFAULT] where there is a [Filters], are read",
            )


def _missing_folder(folder: str) -> Diagnostic:
    return Diagnostic(
        Span(folder),
        Severity.WARNING,
        MISSING_FOLDER,
        f"{folder!r} in filters_path is not a folder; rootwrap skips it",
    )


def _unreadable(path: str, error: Exception, ending: str) -> Diagnostic:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Diagnostic(
        Span(path),
        Severity.ERROR,
        "unreadable",
        f"cannot be read: {reason}",
        f"check its owner and mode; rootwrap ends with a {ending}",
    )
