"""File modes as chmod(1) and its relatives read them: ``0755``, ``g+w``, ``u=rwX,go-w``.

The language and its odd corners are coreutils': an octal mode of fewer than five digits leaves the
set-id bits of a folder alone unless it names them, where chmod(2) would clear them.
"""

import re
import stat
from dataclasses import dataclass
from typing import Final

from privmigrate.privsep.running import UMASK

_SET_IDS: Final = stat.S_ISUID | stat.S_ISGID
_ALL: Final = 0o7777
_EVERYONE: Final = 0o777
_OCTAL: Final = re.compile(r"[0-7]{1,5}", re.ASCII)
_WITH_SPECIAL: Final = 5  # so many digits name the set-id bits whatever they are
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo](?![rwxXstugo])|[rwxXst]*))+)")
_ACTION: Final = re.compile(r"([-+=])([ugo](?![rwxXstugo])|[rwxXst]*)")
_WHO: Final = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": _ALL}
_WHAT: Final = {"r": 0o444, "w": 0o222, "x": 0o111, "X": 0, "s": _SET_IDS, "t": stat.S_ISVTX}
_COPIED: Final = {"u": 0o700, "g": 0o070, "o": 0o007}


@dataclass(frozen=True, slots=True)
class _Change:
    """One action; `who` is 0 where nobody is named."""

    action: str
    who: int
    value: int
    named: int
    copied: bool = False
    conditional: bool = False  # X


@dataclass(frozen=True, slots=True)
class Mode:
    """What a mode says, as changes in their order."""

    changes: tuple[_Change, ...]

    @classmethod
    def parse(cls, text: str) -> "Mode | None":
        """Read a mode; None for what is none, or is one that only newer tools know."""
        if _OCTAL.fullmatch(text):
            value = int(text, 8)
            if value > _ALL:
                return None
            named = _ALL if len(text) >= _WITH_SPECIAL else value & 0o7000 | _EVERYONE
            return cls((_Change("=", _ALL, value, named),))
        changes: list[_Change] = []
        for clause in text.split(","):
            found = _CLAUSE.fullmatch(clause)
            if found is None:
                return None
            who = 0
            for letter in found[1]:
                who |= _WHO[letter]
            changes += (_change(who, *each) for each in _ACTION.findall(found[2]))
        return cls(tuple(changes))

    def apply(self, mode: int) -> int:
        """The permission bits that a file of this mode gets."""
        bits = mode & _ALL
        folder = stat.S_ISDIR(mode)
        for change in self.changes:
            bits = _changed(change, bits, folder=folder)
        return bits


def _change(who: int, action: str, what: str) -> _Change:
    if what in _COPIED:
        value = _COPIED[what]
        return _Change(action, who, value, who & value if who else value, copied=True)
    value = 0
    for letter in what:
        value |= _WHAT[letter]
    return _Change(action, who, value, who & value if who else value, conditional="X" in what)


def _changed(change: _Change, bits: int, *, folder: bool) -> int:
    """Make one change, as mode_adjust() of gnulib does."""
    left_alone = _SET_IDS & ~change.named if folder else 0
    value = change.value
    if change.copied:
        value &= bits
        for each in (0o444, 0o222, 0o111):
            value |= each if value & each else 0
    elif change.conditional and (folder or bits & 0o111):
        value |= 0o111
    value &= (change.who or ~UMASK) & ~left_alone
    if change.action == "=":
        return bits & ((~change.who if change.who else 0) | left_alone) | value
    return bits | value if change.action == "+" else bits & ~value
