"""A filter that lets callers choose the privsep helper's configuration.

``privsep-helper --config-file F --privsep_context C`` takes user, group, capabilities and the code
to import from its arguments. Where callers choose them, the helper is a root shell: in a process
with os-brick, the context os_brick.privileged.default has entrypoints that run any command.
oslo.rootwrap adds an unrestricted filter for it to every policy, whatever the files say.

Instead: let systemd or a fixed line of sudoers start the helper; use privmigrate-helper, which
reads its profile from files that root controls.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.runnable import Shape
from privmigrate.examples import Clean, Finds

CODE: Final = "PM132"
LEVEL: Final = Level.HIGH

_HELPERS: Final = frozenset({"privsep-helper", "privmigrate-helper"})
_WAYS: Final = (("--config-file", "/tmp/x.conf"), ("--privsep_context", "other.context"))

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\np: CommandFilter, privsep-helper, root\n",
        "2:1",
        "p lets callers choose what the helper runs as root: privsep-helper "
        "--config-file /tmp/x.conf",
    ),
    Finds(
        "any context",
        "[Filters]\n"
        "p: RegExpFilter, privsep-helper, root, privsep-helper, --privsep_context, .*, "
        "--privsep_sock_path, .*\n",
        "2:1",
        "p lets callers choose what the helper runs as root: privsep-helper "
        "--privsep_context other.context",
    ),
    Clean(
        "everything fixed but the socket",
        "[Filters]\n"
        "p: RegExpFilter, privsep-helper, root, privsep-helper, --config-file, "
        "/etc/x/x.conf, --privsep_context, x.default, --privsep_sock_path, /tmp/.*\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find filters for the helper into which a configuration or a context of the caller's fits."""
    for runnable in evidence.runnables:
        if runnable.program not in _HELPERS:
            continue
        for words in _WAYS:
            if _takes(runnable.shape, words):
                yield Found(
                    runnable.span,
                    f"{runnable.name} lets callers choose what the helper runs as root:"
                    f" {runnable.program} {' '.join(words)}",
                    "fix --config-file and --privsep_context",
                )
                break


def _takes(shape: Shape, words: tuple[str, str]) -> bool:
    """Whether an option and its value may stand side by side."""
    if shape.is_free:
        return True
    option, value = words
    return any(a.accepts(option) and b.accepts(value) for a, b in pairwise(shape.slots))
