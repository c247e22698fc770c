"""A rootwrap that logs nothing.

Without use_syslog nobody sees which commands were run or refused: neither an attack, nor what a
migration has to cover (``privmigrate match --batch`` reads these lines).

Instead: use_syslog=True and syslog_log_level=INFO.
"""

import logging
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM405"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "off",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nuse_syslog=False\n",
        "1",
        "rootwrap logs nothing",
    ),
    Finds(
        "errors only",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nuse_syslog=True\n",
        "1",
        "rootwrap logs refused commands at most, not those that it runs",
    ),
    Clean(
        "all",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nuse_syslog=True\nsyslog_log_level=INFO\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find configurations under which commands leave no trace."""
    for policy in evidence.policies:
        config = policy.config
        if config is None:
            continue
        if not config.use_syslog:
            what = "rootwrap logs nothing"
        elif config.syslog_log_level > logging.INFO:
            what = "rootwrap logs refused commands at most, not those that it runs"
        else:
            continue
        yield Found(Span(config.file, 1), what, "write use_syslog=True and syslog_log_level=INFO")
