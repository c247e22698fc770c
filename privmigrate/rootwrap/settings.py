"""The sections of rootwrap.conf that are ours; oslo.rootwrap looks at [DEFAULT] alone.

[privmigrate]
mode = enforce                  ; or learn, or off
strict = no                     ; yes: filters as they were meant (see privmigrate match)
capabilities = known            ; or all: nothing is restricted, and the log says so
unknown = all                   ; what a command gets of which nobody knows what it needs
setuid_programs = no            ; yes: commands may gain by setuid programs, within their set;
                                ; a daemon does not start then
execution = child               ; or exec, or daemon
learned = /etc/privmigrate/learned.toml    ; what `privmigrate learn --output` wrote; the default,
                                ; where there is such a file
audit = yes                     ; one record for each command, where use_syslog is on
max_commands = 100              ; how many a daemon runs at once

[capabilities]
lvcreate = CAP_SYS_ADMIN CAP_DAC_OVERRIDE    ; by the filter's name; wins over what we know

[execution]
dnsmasq = exec
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from privmigrate.diagnostics import Span
from privmigrate.errors import InputError
from privmigrate.linux.capabilities import CapabilitySet, every
from privmigrate.rootwrap import ini

SECTION: Final = "privmigrate"
LEARNED: Final = "/etc/privmigrate/learned.toml"
MODES: Final = ("enforce", "learn", "off")
EXECUTIONS: Final = ("child", "exec", "daemon")
_BOOLEANS: Final = MappingProxyType(
    {"1": True, "yes": True, "true": True, "on": True}
    | {"0": False, "no": False, "false": False, "off": False}
)
_MOST_COMMANDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What rootwrap.conf says beyond what oslo.rootwrap reads.

    Attributes:
        mode: enforce; learn (nothing is restricted, and what is used is recorded); off.
        strict: decide by the filters as they were meant.
        restrict: False where `capabilities = all`.
        unknown: what a command may hold that neither table knows.
        learned: a file of what was learned, and whether it has to be there.
        setuid_programs: no no_new_privs, so that a setuid program works within the set.
        execution: who runs commands: the client as their parent, itself turned into them, or a
            daemon.
        audit: one record for each command, where use_syslog is on.
        max_commands: how many a daemon runs at once; more wait.
        capabilities: by filter, from [capabilities].
        executions: by filter, from [execution].
        places: of each option that is given where it stands, and of the section, by its name.
    """

    mode: str = "enforce"
    strict: bool = False
    restrict: bool = True
    unknown: CapabilitySet = field(default_factory=every)
    learned: str = LEARNED
    learned_given: bool = False
    setuid_programs: bool = False
    execution: str = "child"
    audit: bool = True
    max_commands: int = 100
    capabilities: Mapping[str, CapabilitySet] = field(default_factory=dict)
    executions: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, Span] = field(default_factory=dict, compare=False)

    @property
    def needs_setuid_programs(self) -> bool:
        """Whether commands are limited that may use setuid programs: none of a daemon's."""
        return self.setuid_programs and self.restrict and self.mode == "enforce"


def parse_settings(data: bytes, file: str) -> Settings:
    """Read our sections; raise InputError for what cannot be meant, unknown options included."""
    found: dict[str, dict[str, ini.Entry]] = {SECTION: {}, "capabilities": {}, "execution": {}}
    read = ini.parse_ini(data, file)
    for entry in read.entries:
        if entry.section in found:
            found[entry.section][entry.name] = entry
    options = found[SECTION]
    for name, entry in options.items():
        if name not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise InputError(f"{entry.span}: error: [{SECTION}] has no option {name} ({known})")
    settings = Settings(
        mode=_one_of(options.get("mode"), MODES),
        strict=_boolean(options.get("strict"), default=False),
        restrict=_one_of(options.get("capabilities"), ("known", "all")) == "known",
        unknown=_set(options["unknown"]) if "unknown" in options else every(),
        learned=_absolute(options.get("learned"), LEARNED),
        learned_given="learned" in options,
        setuid_programs=_boolean(options.get("setuid_programs"), default=False),
        execution=_one_of(options.get("execution"), EXECUTIONS),
        audit=_boolean(options.get("audit"), default=True),
        max_commands=_number(options.get("max_commands"), 100),
        capabilities={name: _set(entry) for name, entry in found["capabilities"].items()},
        executions={name: _one_of(e, EXECUTIONS) for name, e in found["execution"].items()},
        places={name: span for name, span in read.sections if name == SECTION}
        | {name: entry.span for name, entry in options.items()},
    )
    if settings.needs_setuid_programs and "daemon" in (
        settings.execution,
        *settings.executions.values(),
    ):
        raise _wrong(
            options["setuid_programs"],
            "no, where execution is daemon, whose limited commands are under no_new_privs",
        )
    return settings


_OPTIONS: Final = (
    "mode",
    "strict",
    "capabilities",
    "unknown",
    "learned",
    "setuid_programs",
    "execution",
    "audit",
    "max_commands",
)


def _wrong(entry: ini.Entry, expected: str) -> InputError:
    return InputError(
        f"{entry.span}: error: {entry.raw_name} cannot be {entry.value!r} ({expected})"
    )


def _one_of(entry: ini.Entry | None, words: tuple[str, ...]) -> str:
    """The word that stands there; the first is the default."""
    if entry is None:
        return words[0]
    if entry.value.lower() not in words:
        raise _wrong(entry, f"one of {', '.join(words)}")
    return entry.value.lower()


def _boolean(entry: ini.Entry | None, *, default: bool) -> bool:
    if entry is None:
        return default
    value = _BOOLEANS.get(entry.value.lower())
    if value is None:
        raise _wrong(entry, "yes or no")
    return value


def _absolute(entry: ini.Entry | None, default: str) -> str:
    if entry is None:
        return default
    if not entry.value.startswith("/"):
        raise _wrong(entry, "an absolute path")
    return entry.value


def _number(entry: ini.Entry | None, default: int) -> int:
    if entry is None:
        return default
    text = entry.value
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_COMMANDS):
        raise _wrong(entry, f"a whole number from 1 to {_MOST_COMMANDS}")
    return int(text)


def _set(entry: ini.Entry) -> CapabilitySet:
    try:
        return CapabilitySet.parse(entry.value)
    except ValueError as error:
        raise _wrong(entry, f"{error}; names as CAP_NET_ADMIN, all, or none") from None
