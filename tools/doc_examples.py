"""Put into docs/generated-code.md what its filters are converted to.

Usage: python -m tools.doc_examples [--check]. Every block of filters in it is followed by a block
of Python, which is written here: what `privmigrate convert` makes of these filters, without
imports. A block marked ``py`` between them is a service's source, whose calls are converted. With
--check nothing is written; the exit code is 1 where the page is out of date.
"""

import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tools.modules import PROJECT

PAGE: Final = PROJECT / "docs" / "generated-code.md"
PAIR: Final = re.compile(
    r"(```ini\n(.*?)```\n(?:```py\n(.*?)```\n)?```python\n).*?(```\n)", re.DOTALL
)
CONVERTED: Final = "volume"


def convert(filters: str, service: str | None) -> str:
    """What the filters become: every decorated function and every class, in order."""
    with tempfile.TemporaryDirectory(prefix="privmigrate-doc-") as folder:
        source = Path(folder) / f"{CONVERTED}.filters"
        source.write_text(f"[Filters]\n{filters}")
        command = [sys.executable, "-m", "privmigrate", "convert", "--output", folder, str(source)]
        if service is not None:
            package = Path(folder) / "service"
            package.mkdir()
            (package / "__init__.py").touch()
            (package / "driver.py").write_text(service)
            command += ["--callsites", str(package)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
        if done.returncode:
            raise RuntimeError(f"{filters}: {done.stderr}")
        made = Path(folder) / "privileged"
        modules = [made / "common.py", *sorted(set(made.glob("*.py")) - {made / "common.py"})]
        texts = [module.read_text() for module in modules if module.exists()]
    pieces = [piece for text in texts for piece in text.split("\n\n\n")]
    return "\n\n\n".join(p.strip("\n") for p in pieces if p.startswith("# privmigrate:")) + "\n"


def render(page: str) -> str:
    """The page with every block of Python as it should be."""
    return PAIR.sub(lambda pair: f"{pair[1]}{convert(pair[2], pair[3])}{pair[4]}", page)


def main(arguments: list[str]) -> int:
    """Write the page, or say what would change."""
    old = PAGE.read_text()
    new = render(old)
    if old == new:
        return 0
    if "--check" not in arguments:
        PAGE.write_text(new)
        return 0
    before, after = (text.splitlines(keepends=True) for text in (old, new))
    sys.stderr.writelines(difflib.unified_diff(before, after, PAGE.name, "as it is converted"))
    print(f"{PAGE.name} is out of date: run python -m tools.doc_examples", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
