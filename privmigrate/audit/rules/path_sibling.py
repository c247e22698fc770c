"""A PathFilter that also takes a sibling of its folder.

oslo.rootwrap compares paths character by character: ``/var/lib/images`` also allows
``/var/lib/images-evil``, which whoever may write to /var/lib can make.

Instead: end the folder with ``/``; strict mode and generated code compare components.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM301"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "no slash at the end",
        "[Filters]\nc: PathFilter, /bin/chown, root, nova, /var/lib/images\n",
        "2:1",
        "c: /var/lib/images also allows /var/lib/images-evil",
    ),
    Clean(
        "a slash at the end", "[Filters]\nc: PathFilter, /bin/chown, root, nova, /var/lib/images/\n"
    ),
    Clean("the root", "[Filters]\nc: PathFilter, /bin/chown, root, nova, /\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find folders that are written without a slash at their end."""
    for entry in evidence.of_class("PathFilter"):
        for text in entry.rule.texts[2:]:
            if text.startswith("/") and not text.endswith("/") and "*" not in text:
                yield Found(
                    entry.span,
                    f"{entry.name}: {text} also allows {text}-evil",
                    f"write {text}/, or decide in strict mode",
                )
                break
