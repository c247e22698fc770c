"""Write docs/audit-rules.md: the manual pages of all audit rules, with their examples.

Usage: python -m tools.audit_rules [--check]. With --check, write nothing and exit with 1 where the
page is out of date.
"""

import sys
from typing import Final

from privmigrate.audit.engine import load_rules
from privmigrate.audit.manual import manual
from tools.modules import PROJECT

TARGET: Final = PROJECT / "docs" / "audit-rules.md"


def main(arguments: list[str]) -> int:
    """Write or check the page."""
    text = "\n".join(manual(load_rules())) + "\n"
    current = TARGET.read_text() if TARGET.exists() else ""
    if text == current:
        return 0
    if "--check" in arguments:
        print(
            "docs/audit-rules.md is out of date: run python -m tools.audit_rules", file=sys.stderr
        )
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
