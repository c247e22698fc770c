"""Something could not be looked at.

What an audit passes over in silence looks clean. A folder that only root may read, a file that is
no Python, a line that sudo's own parser refuses: each is said, and as long as one is left the
audit is not complete.

Instead: run the audit as a user who may read it (filters are often readable by root only).
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM001"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a broken line of sudoers",
        "cinder ALL=(root) NOPASSWD /usr/bin/x\n",
        "1:1",
        "was not judged: sudo's parser does not accept the line",
    ),
    Finds(
        "a file that is no Python",
        "from oslo_privsep import priv_context\n@c.entrypoint\ndef f(:\n    pass\n",
        "3",
        "is no Python: invalid syntax (example.py, line 3)",
    ),
    Clean("all was read", 'cinder ALL=(root) NOPASSWD: /usr/bin/x ""\n'),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Repeat what the gathering could not do."""
    for missed in evidence.unread:
        yield Found(missed.span, missed.message, "repair it, or run the audit as root")
