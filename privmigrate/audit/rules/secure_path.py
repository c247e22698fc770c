"""A secure_path that is missing, relative, or not the system's.

rootwrap's own PATH comes from here: it is what exec_dirs default to, and where the wrapper's name
is looked up when a service calls ``sudo cinder-rootwrap``.

Instead: Defaults secure_path="/usr/sbin:/usr/bin:/sbin:/bin".
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.gather import is_wrapper
from privmigrate.examples import Clean, Finds

CODE: Final = "PM510"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "relative",
        'Defaults secure_path="/usr/bin:.:bin"\n',
        "1:1",
        "secure_path has '.', a folder below the caller's",
    ),
    Finds(
        "missing",
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap /etc/cinder/rootwrap.conf *\n",
        "1:1",
        "/usr/bin/cinder-rootwrap gets the caller's PATH, for there is no secure_path",
    ),
    Clean(
        "set",
        'Defaults secure_path="/usr/sbin:/usr/bin"\n'
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap /etc/cinder/rootwrap.conf *\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find folders that are not absolute, and wrappers without any secure_path."""
    paths = [default for default in evidence.defaults if default.name == "secure_path"]
    for default in paths:
        odd = [folder for folder in str(default.value).split(":") if not folder.startswith("/")]
        if odd:
            yield Found(
                default.span,
                f"secure_path has {odd[0]!r}, a folder below the caller's",
                "write absolute paths only",
                Level.HIGH,
            )
    wrappers = [grant for grant in evidence.grants if is_wrapper(grant)]
    if wrappers and not paths:
        yield Found(
            wrappers[0].span,
            f"{wrappers[0].command} gets the caller's PATH, for there is no secure_path",
            "write Defaults secure_path=/usr/sbin:/usr/bin:/sbin:/bin",
        )
