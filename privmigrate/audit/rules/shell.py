"""A shell that callers can give a command.

A shell runs what it is told: with any arguments, or with a pattern such as ``echo .* > /tmp/.*``
for what stands behind ``-c``, whoever may call it is root. Quotes in the pattern do not help,
because the caller writes between them. A text that is held to one command may write any file.

Instead: call the program itself, without a shell; write files and join pipes in the service.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM101"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("sh bash dash zsh ksh ash csh tcsh fish busybox", "-c '/tmp/x'", Gain.RUN),
    Way("sh bash dash zsh ksh ash", "-c \"echo '' > /tmp/f; /tmp/x; '' > /tmp/f\"", Gain.RUN),
    Way("sh bash dash zsh ksh ash", "-c 'cat > /tmp/f; /tmp/x'", Gain.RUN),
    Way("sh bash dash zsh ksh ash", "-c 'rm -f /tmp/f; /tmp/x; rm -f /tmp/*.conf'", Gain.RUN),
    Way("sh bash dash zsh ksh ash", "-c \"echo '' > /etc/cron.d/x\"", Gain.WRITE),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\ns: CommandFilter, bash, root\n",
        "2:1",
        "s runs any program as root: bash -c '/tmp/x'",
    ),
    Finds(
        "a pattern behind -c",
        "[Filters]\ns: RegExpFilter, sh, root, sh, -c, echo '((.|\\n)*)' > /.*\n",
        "2:1",
        "s runs any program as root: sh -c 'echo '\"'\"''\"'\"' > /tmp/f; /tmp/x; "
        "'\"'\"''\"'\"' > /tmp/f'",
    ),
    Finds(
        "a text that is held to one command, and not to one file",
        "[Filters]\ns: RegExpFilter, sh, root, sh, -c, echo '[^']*' > /[a-z./]*\n",
        "2:1",
        "s writes any file as root: sh -c 'echo '\"'\"''\"'\"' > /etc/cron.d/x'",
    ),
    Clean("one fixed script", "[Filters]\ns: RegExpFilter, sh, root, sh, -c, systemctl reload x\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
