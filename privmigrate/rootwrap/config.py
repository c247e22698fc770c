"""Reads rootwrap.conf: every option of oslo.rootwrap 7, its defaults and its refusals."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeVar

from privmigrate.diagnostics import Severity, Span
from privmigrate.errors import InputError
from privmigrate.linux.reading import read_regular
from privmigrate.rootwrap import ini

T = TypeVar("T")

# Where there is no rootwrap.conf: oslo.rootwrap's own documentation has these, and so has every
# project's, but for the local folders of some.
DEFAULT_EXEC_DIRS: Final = ("/sbin", "/usr/sbin", "/bin", "/usr/bin")

_BOOLEANS: Final = MappingProxyType(
    {
        **dict.fromkeys(("1", "yes", "true", "on"), True),
        **dict.fromkeys(("0", "no", "false", "off"), False),
    }
)

# syslog(3). oslo.rootwrap takes the names without LOG_ in lower case, and any LOG_* attribute of
# logging.handlers.SysLogHandler, which are also the priorities.
_FACILITIES: Final = MappingProxyType(
    {
        "kern": 0,
        "user": 1,
        "mail": 2,
        "daemon": 3,
        "auth": 4,
        "syslog": 5,
        "lpr": 6,
        "news": 7,
        "uucp": 8,
        "cron": 9,
        "authpriv": 10,
        "ftp": 11,
        "ntp": 12,
        "security": 13,
        "console": 14,
        "solaris-cron": 15,
        "local0": 16,
        "local1": 17,
        "local2": 18,
        "local3": 19,
        "local4": 20,
        "local5": 21,
        "local6": 22,
        "local7": 23,
    }
)
_PRIORITIES: Final = ("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")
_ATTRIBUTES: Final = MappingProxyType(
    {
        f"LOG_{name.upper()}" if name != "solaris-cron" else "LOG_SOLCRON": number
        for name, number in _FACILITIES.items()
    }
    | {f"LOG_{name}": number for number, name in enumerate(_PRIORITIES)}
)


@dataclass(frozen=True, slots=True)
class RootwrapConfig:
    """What a rootwrap.conf says.

    Attributes:
        filters_path: the folders with ``.filters`` files, split at commas and not stripped.
        exec_dirs: where bare executables are looked up; PATH where the file does not say.
        exec_dirs_given: False where `exec_dirs` is PATH, so that it is each caller's own.
        use_syslog, syslog_log_facility, syslog_log_level: where and what rootwrap logs.
        daemon_timeout: seconds without a command after which rootwrap's daemon ends.
        rlimit_nofile: how many descriptors rootwrap leaves itself.
        file: the file's name in messages.
    """

    filters_path: tuple[str, ...]
    exec_dirs: tuple[str, ...] = ()
    exec_dirs_given: bool = True
    use_syslog: bool = False
    syslog_log_facility: int = _FACILITIES["syslog"]
    syslog_log_level: int = logging.ERROR
    daemon_timeout: int = 600
    rlimit_nofile: int = 1024
    file: str = ""


def load_config(path: str, environ: Mapping[str, str] | None = None) -> RootwrapConfig:
    """Read the rootwrap.conf at `path`. Raise InputError where oslo.rootwrap exits with 97."""
    try:
        data = read_regular(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path}: error: cannot be read: {reason}") from error
    return parse_config(data, path, environ)


def parse_config(
    data: bytes, file: str, environ: Mapping[str, str] | None = None
) -> RootwrapConfig:
    """Read the content of a rootwrap.conf; PATH comes from `environ` (this process's own)."""
    options = _options(data, file)
    path = (os.environ if environ is None else environ).get("PATH")
    if "filters_path" not in options:
        raise InputError(
            f"{file}: error: has no filters_path in [DEFAULT] "
            "(name the folders with .filters files, separated by commas)"
        )
    return RootwrapConfig(
        filters_path=tuple(options["filters_path"].value.split(",")),
        exec_dirs=_take(options, "exec_dirs", lambda value: tuple(value.split(",")))
        or (() if path is None else tuple(path.split(":"))),
        exec_dirs_given="exec_dirs" in options,
        use_syslog=_take(options, "use_syslog", _boolean) or False,
        syslog_log_facility=_or(
            _take(options, "syslog_log_facility", _facility), _FACILITIES["syslog"]
        ),
        syslog_log_level=_or(_take(options, "syslog_log_level", _level), logging.ERROR),
        daemon_timeout=_or(_take(options, "daemon_timeout", _number), 600),
        rlimit_nofile=_or(_take(options, "rlimit_nofile", _number), 1024),
        file=file,
    )


def _options(data: bytes, file: str) -> Mapping[str, ini.Entry]:
    """The entries of [DEFAULT]; oslo.rootwrap reads this file strictly: nothing stands twice."""
    read = ini.parse_ini(data, file)
    for problem in read.problems:
        if problem.severity is Severity.ERROR:
            raise InputError(str(problem))
    sections: dict[str, Span] = {}
    for name, span in read.sections:
        if name != ini.DEFAULT and name in sections:
            raise InputError(
                f"{span}: error: the section [{name}] stands here and in line "
                f"{sections[name].line} (join them)"
            )
        sections.setdefault(name, span)
    entries: dict[tuple[str, str], ini.Entry] = {}
    for entry in read.entries:
        first = entries.setdefault((entry.section, entry.name), entry)
        if first is not entry:
            raise InputError(
                f"{entry.span}: error: {entry.raw_name} stands here and in line "
                f"{first.span.line} (remove one of them; case does not count in names)"
            )
    return {name: entry for (section, name), entry in entries.items() if section == ini.DEFAULT}


def _take(
    options: Mapping[str, ini.Entry], name: str, convert: Callable[[str], T | None]
) -> T | None:
    entry = options.get(name)
    if entry is None:
        return None
    value = convert(entry.value)
    if value is None:
        place = entry.locate(0, len(entry.value))
        raise InputError(
            f"{place}: error: {entry.raw_name} cannot be {entry.value!r} ({_EXPECTED[name]})"
        )
    return value


_EXPECTED: Final = MappingProxyType(
    {
        "use_syslog": f"one of {', '.join(_BOOLEANS)}",
        "syslog_log_facility": f"one of {', '.join(_FACILITIES)}, or a LOG_ name of syslog(3)",
        "syslog_log_level": "a level of Python's logging, such as ERROR or INFO",
        "daemon_timeout": "a whole number of seconds",
        "rlimit_nofile": "a whole number",
    }
)


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _boolean(value: str) -> bool | None:
    return _BOOLEANS.get(value.lower())


def _facility(value: str) -> int | None:
    return _ATTRIBUTES.get(value, _FACILITIES.get(value))


def _level(value: str) -> int | None:
    return logging.getLevelNamesMapping().get(value.upper())


def _number(value: str) -> int | None:
    try:
        return int(value)  # as oslo.rootwrap: " 6_0 " is a number
    except ValueError:
        return None
