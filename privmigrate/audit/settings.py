"""Where an option stands in a rootwrap.conf."""

from privmigrate.audit.evidence import PolicyFiles
from privmigrate.diagnostics import Span


def option_span(policy: PolicyFiles, name: str) -> Span:
    """The line of an option, or the file where it has none."""
    file = "" if policy.config is None else policy.config.file
    for number, line in enumerate(policy.text.splitlines(), 1):
        if line.strip().lower().startswith(name):
            return Span(file, number)
    return Span(file)
