"""Identifiers and quoted text of generated code."""

import builtins
import keyword
import re
from typing import Final

_NOT_WORD: Final = re.compile(r"[^0-9A-Za-z_]+")
_BOUNDARY: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_RUNS: Final = re.compile(r"_{2,}")
_ENDS_RAW: Final = re.compile(r'(?<!\\)(\\\\)*"')  # a quotation mark that no backslash precedes
_CLEAN: Final = re.compile(r"[ -~]*\Z")
_SOFT: Final = frozenset(keyword.softkwlist)
LONGEST: Final = 48  # characters of a name, so that what defines it fits on a line
LONGEST_CLASS: Final = 22  # it stands twice on the line of its tag
# "l" is no keyword, but linters take it for a one.
RESERVED: Final = frozenset(keyword.kwlist) | _SOFT | frozenset(dir(builtins)) | {"l"}


def identifier(text: str, *, digit: str = "run_", empty: str = "entrypoint") -> str:
    """Turn any text into a lower-case Python name that hides no keyword and no builtin.

    `digit` goes before a leading digit, and `empty` stands for a text without letters and digits.
    """
    words = _BOUNDARY.sub("_", text) if not text.isupper() else text
    name = _RUNS.sub("_", _NOT_WORD.sub("_", words)).strip("_").lower()[:LONGEST].rstrip("_")
    if not name:
        name = empty
    if name[0].isdigit():
        name = digit + name
    return f"{name}_" if name in RESERVED else name


def class_name(text: str) -> str:
    """Turn any text into a class name: ``ionice_level`` is ``IoniceLevel``."""
    name = "".join(word.capitalize() for word in identifier(text).split("_"))[:LONGEST_CLASS]
    return f"{name}_" if name in RESERVED else name


def constant_name(text: str) -> str:
    """Turn any text into the name of a constant."""
    return identifier(text).rstrip("_").upper()


def quote(text: str) -> str:
    """Print a string as `ruff format` would leave it: in ``"``, unless ``'`` saves an escape."""
    printed = repr(text)
    inner = printed[1:-1].replace("\\'", "'") if printed[0] == "'" else printed[1:-1]
    mark = "'" if text.count('"') > text.count("'") else '"'
    return mark + inner.replace(mark, f"\\{mark}") + mark


def quote_pattern(pattern: str) -> str:
    """Print a regular expression as a raw string, where one can say it."""
    trailing = len(pattern) - len(pattern.rstrip("\\"))
    if _CLEAN.match(pattern) and "\\" in pattern and trailing % 2 == 0:
        if not _ENDS_RAW.search(pattern):
            return f'r"{pattern}"'
        if "'" not in pattern:
            return f"r'{pattern}'"
    return quote(pattern)


def quote_formatted(prefix: str, name: str, suffix: str) -> str:
    """Print ``f"PREFIX{NAME}SUFFIX"``."""
    # a character that is printed as it is, and is in neither
    mark = next(each for each in map(chr, range(0x2600, 0x2700)) if each not in prefix + suffix)
    around = f"{prefix}{mark}{suffix}".replace("{", "{{").replace("}", "}}")
    return "f" + quote(around).replace(mark, f"{{{name}}}")
