"""Write what the audit rules say of themselves and of our own filters.

Usage: python -m tools.audit_rules [--check]. Writes docs/audit-rules.md, the manual pages of all
rules with their examples, and the goldens in tests/golden/audit: what the audit prints of
filters/sample and of each trap in filters/traps, and the sample's score. With --check, write
nothing and exit with 1 where one is out of date.
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.engine import load_rules
from privmigrate.audit.manual import manual
from privmigrate.cli import main as privmigrate
from tools.modules import PROJECT

PAGE: Final = "docs/audit-rules.md"
GOLDEN: Final = "tests/golden/audit"


def printed(*words: str) -> str:
    """What a command prints, run at the top of the project."""
    out = io.StringIO()
    with contextlib.chdir(PROJECT), contextlib.redirect_stdout(out):
        code = privmigrate(["audit", *words])
    return f"$ privmigrate audit {' '.join(words)}\n{out.getvalue()}exit code {code}\n"


def outputs() -> Iterator[tuple[str, str]]:
    """Every file with its text."""
    yield PAGE, "\n".join(manual(load_rules())) + "\n"
    yield f"{GOLDEN}/sample.txt", printed("--profile", "migrate", "filters/sample/rootwrap.d")
    yield f"{GOLDEN}/score.txt", printed("--score", "filters/sample/rootwrap.d")
    traps = sorted(path.name for path in (PROJECT / "filters/traps").glob("*.filters"))
    texts = [printed("--profile", "migrate", f"filters/traps/{name}") for name in traps]
    yield f"{GOLDEN}/traps.txt", "\n".join(texts)


def main(arguments: list[str]) -> int:
    """Write or check."""
    stale = []
    for name, text in outputs():
        path = PROJECT / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, "utf-8")
    if stale and "--check" in arguments:
        print(f"{', '.join(stale)}: run python -m tools.audit_rules", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
