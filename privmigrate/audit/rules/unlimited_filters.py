"""A shim that leaves filters unlimited.

The shim in front of a service holds each command to what its filter needs. It holds nothing to
anything while ``mode`` is ``off`` or ``learn``, or with ``capabilities = all``. Under ``unknown =
all``, the default, a filter of whose commands nobody knows what they need runs with every
capability: whoever may run it has with it what rootwrap gave him.

Instead: ``privmigrate learn --filters rootwrap.conf --from LOG --output FILE`` for what the service
runs, a row in ``[capabilities]`` where that cannot be watched, and then ``unknown = none``.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, PolicyFiles
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Diagnostic, Span
from privmigrate.examples import Clean, Finds
from privmigrate.linux.capabilities import every
from privmigrate.privsep.knowledge.granted import UNKNOWN, granted
from privmigrate.rootwrap.settings import SECTION, Settings
from privmigrate.rootwrap.words import runs_of

CODE: Final = "PM406"
LEVEL: Final = Level.MEDIUM

_SHOWN: Final = 3
_LEARN: Final = (
    "learn what they need (privmigrate learn), or write it in [capabilities]; then unknown = none"
)

_BEFORE: Final = (
    "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
    "    [Filters]\n"
    "    l: CommandFilter, lvs, root\n"
    "    h: CommandFilter, growctl, root\n"
    "    g: CommandFilter, /opt/vendor/grow, root\n"
    "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
    "    [DEFAULT]\n"
    "    filters_path=/etc/x/rootwrap.d\n"
    "    exec_dirs=/usr/bin\n"
)
EXAMPLES: Final = (
    Finds(
        "unknown by default",
        f"{_BEFORE}    [privmigrate]\n    audit = yes\n",
        "/etc/x/rootwrap.conf:4:1",
        "without unknown = none, 2 of 3 filters run with every capability, since nobody knows what "
        "their commands need: h, g",
    ),
    Finds(
        "unknown as written",
        f"{_BEFORE}    [privmigrate]\n    unknown = all\n    [capabilities]\n    g = none\n",
        "/etc/x/rootwrap.conf:5:1",
        "with unknown = all, 1 of 3 filters runs with every capability, since nobody knows what "
        "its commands need: h",
    ),
    Finds(
        "all",
        f"{_BEFORE}    [privmigrate]\n    capabilities = all\n    unknown = none\n",
        "/etc/x/rootwrap.conf:5:1",
        "with capabilities = all, 3 of 3 filters run with every capability: l, h, g",
    ),
    Finds(
        "off",
        f"{_BEFORE}    [privmigrate]\n    mode = off\n",
        "/etc/x/rootwrap.conf:5:1",
        "with mode = off, 3 of 3 filters run with every capability: l, h, g",
    ),
    Finds(
        "learning",
        f"{_BEFORE}    [privmigrate]\n    mode = learn\n",
        "/etc/x/rootwrap.conf:5:1",
        "with mode = learn, 3 of 3 filters run with every capability: l, h, g",
    ),
    Clean("known or nothing", f"{_BEFORE}    [privmigrate]\n    unknown = none\n"),
    Clean(
        "what was learned",
        "-rw-r--r-- root root /etc/privmigrate/learned.toml\n"
        "    growctl = []\n"
        '    grow = ["CAP_SYS_ADMIN"]\n'
        f"{_BEFORE}    [privmigrate]\n",
    ),
    Clean("no shim", _BEFORE),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find configurations of the shim under which filters are as wide as before it."""
    for policy in evidence.policies:
        settings = policy.settings
        if settings is None:
            continue
        names, why = _unlimited(policy, settings)
        if not names:
            continue
        many = len(names) > 1
        count = f"{len(names)} of {len(policy.live)} filters run{'' if many else 's'}"
        shown = ", ".join(names[:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        message = f"{count} with every capability"
        level: Level | None = None
        advice = "write capabilities = known and mode = enforce, the defaults"
        if why == UNKNOWN:
            given = "with unknown = all" if "unknown" in settings.places else _NOT_GIVEN
            whose = "their" if many else "its"
            message = f"{given}, {message}, since nobody knows what {whose} commands need"
            advice = _LEARN
        else:
            message = f"with {why}, {message}"
            if settings.mode == "learn":
                level = Level.LOW
                advice = "when enough was seen (privmigrate shim learned), write mode = enforce"
        yield Found(_place(settings, why), f"{message}: {shown}{more}", advice, level)


_NOT_GIVEN: Final = "without unknown = none"


def _unlimited(policy: PolicyFiles, settings: Settings) -> tuple[list[str], str]:
    """The filters that nothing limits, and the one reason for all of them."""
    names: list[str] = []
    reason = ""
    for entry in policy.live:
        if isinstance(entry.bound, Diagnostic):
            continue
        found, why = granted(entry.rule.name, runs_of(entry.rule), settings, policy.declared)
        if found is None or (why == UNKNOWN and every() <= found):
            names.append(entry.name)
            reason = why
    return names, reason


def _place(settings: Settings, why: str) -> Span:
    """Where the option stands, or the section."""
    return settings.places.get(why.partition(" ")[0], settings.places[SECTION])
