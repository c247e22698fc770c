"""PathFilter: constants, free words, and paths within folders."""

import os
from dataclasses import dataclass
from typing import ClassVar

from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter


@dataclass(frozen=True, slots=True)
class PathFilter(Filter):
    """Allow an executable with a fixed number of arguments, some of them paths within a folder.

    Values: the executable, the user, then for each argument `pass` (any word), an absolute path
    (the argument is an absolute path whose real path is this one or lies below it) or a constant.
    What runs gets the real path. The comparison is by path components; oslo.rootwrap compares
    characters, so that /var/lib/images lets /var/lib/images-evil through, and takes relative
    paths, which depend on the caller's folder.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "constant, free word and path",
            "c: PathFilter, /bin/chown, root, nova, pass, /proc/sys",
            ("chown", "nova", "-v", "/proc/sys/vm"),
            ("/bin/chown", "nova", "-v", "/proc/sys/vm"),
        ),
        Allow(
            "what runs gets the real path",
            "c: PathFilter, cat, root, /proc/sys",
            ("cat", "/proc/sys/../sys//vm/."),
            ("cat", "/proc/sys/vm"),
        ),
        Deny(
            "two dots",
            "c: PathFilter, cat, root, /proc/sys",
            ("cat", "/proc/sys/../meminfo"),
            "argument 1, '/proc/sys/../meminfo', is /proc/meminfo, which is not within /proc/sys",
        ),
        Deny(
            "a sibling whose name begins alike",
            "c: PathFilter, cat, root, /proc/sy",
            ("cat", "/proc/sys"),
            "argument 1, '/proc/sys', is /proc/sys, which is not within /proc/sy",
        ),
        Deny(
            "a relative path",
            "c: PathFilter, cat, root, /proc/sys",
            ("cat", "vm"),
            "argument 1, 'vm', is not an absolute path",
        ),
        Deny(
            "another constant",
            "c: PathFilter, chown, root, nova, /proc/sys",
            ("chown", "root", "/proc/sys/vm"),
            "argument 1, 'root', is not nova",
        ),
        Deny(
            "one argument too few",
            "c: PathFilter, chown, root, nova, /proc/sys",
            ("chown", "nova"),
            "chown takes 2 arguments here, 1 given",
        ),
        Deny(
            "another command",
            "c: PathFilter, /bin/chown, root, nova, /proc/sys",
            ("chgrp", "nova", "/proc/sys/vm"),
            "chgrp is not /bin/chown",
        ),
        Deny(
            "no argument at all is never allowed",
            "c: PathFilter, chown, root",
            ("chown",),
            "a rule without arguments allows nothing",
        ),
    )

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if denied := self._other_command(argv[0]):
            return denied
        if not self.args:
            return Denied("a rule without arguments allows nothing")
        if len(argv) - 1 != len(self.args):
            takes = "1 argument" if len(self.args) == 1 else f"{len(self.args)} arguments"
            return Denied(f"{argv[0]} takes {takes} here, {len(argv) - 1} given")
        arguments = []
        for number, (wanted, word) in enumerate(zip(self.args, argv[1:], strict=True), start=1):
            if wanted.startswith("/"):
                if not word.startswith("/"):
                    return Denied(f"argument {number}, {word!r}, is not an absolute path")
                real = _real_path(word)
                if real is None:
                    return Denied(f"argument {number}, {word!r}, cannot be resolved")
                if not _is_within(real, wanted):
                    return Denied(
                        f"argument {number}, {word!r}, is {real}, which is not within {wanted}"
                    )
                arguments.append(real)
            elif wanted in {"pass", word}:
                arguments.append(word)
            else:
                return Denied(f"argument {number}, {word!r}, is not {wanted}")
        return self._allow(tuple(arguments))


def _real_path(path: str) -> str | None:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError, RecursionError):  # ValueError: no file name can be spelled so
        return None


def _is_within(real: str, folder: str) -> bool:
    """Compare as written: a folder that is no real path itself holds nothing, as in rootwrap."""
    return real == folder or real.startswith(folder if folder.endswith("/") else f"{folder}/")
