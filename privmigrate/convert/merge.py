"""What was generated now, what was generated before, and what stands on disk: one text.

A statement that stands as it was generated is replaced; one that a person changed is kept, and if
its rule has changed too, that is a conflict for a person to decide; one that a person deleted
stays deleted; one whose rule is gone is kept and marked. What a person added stays where it is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from privmigrate.convert.code import MARK, Unit
from privmigrate.convert.render import Import, ModuleText, Piece, names_in

DOC: Final = "doc"
EXECUTABLE: Final = " = Executable("
ORPHAN: Final = "orphan"


class State(Enum):
    """What a unit of the last run was left as."""

    GENERATED = "generated"
    EDITED = "edited"  # a person's text, and the rule has not changed since
    DELETED = "deleted"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Record:
    """What the lock says of one unit: the hash is of what was generated last."""

    identity: str
    name: str
    params: tuple[str, ...]
    sources: tuple[str, ...]
    digest: str
    state: State = State.GENERATED


@dataclass(frozen=True, slots=True)
class Wanted:
    """One unit of the new output, with what the lock has to remember of it."""

    unit: Unit
    name: str = ""
    params: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    was: str = ""  # its identity in the last run, where the rule has changed since


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to one unit, for the person; `conflict` needs a decision."""

    place: str
    message: str
    conflict: bool = False
    mine: str = ""
    generated: str = ""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person decided: ``MODULE.NAME`` to keep as it is, or to replace."""

    keep: frozenset[str] = frozenset()
    replace: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Merged:
    """The module to write, what to remember of it, and what to tell."""

    module: ModuleText
    records: tuple[Record, ...]
    notes: tuple[Note, ...]
    names: frozenset[str] = frozenset()  # that kept text uses


def digest(text: str) -> str:
    """The hash that tells whether a statement is as it was generated."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(slots=True)
class _Merge:
    """The state of one merge: what goes into the module, in order."""

    module: str
    choices: Choices
    disk: Mapping[str, Piece]
    pieces: list[Piece]
    records: list[Record]
    notes: list[Note]
    kept: list[str]  # texts that a person wrote, or that are orphans
    imports: set[tuple[str, str]]

    def take(self, wanted: Wanted, record: Record | None) -> None:
        """Decide about one unit of the new output."""
        unit = wanted.unit
        here = self.disk.get(unit.identity) or self.disk.get(wanted.was)
        new = digest(unit.text)
        place = f"{self.module}.{wanted.name}"
        constant = unit.identity.startswith("=")
        if here is None:
            if record is not None and not constant and place not in self.choices.replace:
                self._remember(wanted, record.digest, State.DELETED)
                if record.state is not State.DELETED:
                    self.notes.append(Note(place, "was deleted by hand and stays deleted"))
                return
            self._write(wanted)
            return
        found = digest(here.text)
        untouched = found == new or (record is not None and found == record.digest)
        if untouched or place in self.choices.replace:
            self._write(wanted)
            return
        piece = replace(here, identity=unit.identity, mark=unit.mark)
        self.pieces.append(piece)
        self.kept.append(here.text)
        if place in self.choices.keep or (record is not None and record.digest == new):
            self._remember(wanted, new, State.EDITED)
            self.notes.append(Note(place, "was edited by hand and is kept"))
            return
        self._remember(wanted, record.digest if record else "", State.EDITED)
        message = "was edited by hand, and its rule has changed since"
        self.notes.append(Note(place, message, conflict=True, mine=here.text, generated=unit.text))

    def orphan(self, record: Record, piece: Piece) -> None:
        """Keep what no rule asks for any more, and say so above it."""
        mark = f"{MARK} {record.identity}  {ORPHAN}: no rule asks for it any more"
        self.pieces.append(replace(piece, mark=mark))
        self.kept.append(piece.text)
        self.records.append(replace(record, state=State.ORPHAN))
        place = f"{self.module}.{record.name}"
        if record.state is not State.ORPHAN:
            self.notes.append(Note(place, "is kept, though no rule asks for it any more"))

    def stay(self, record: Record, piece: Piece) -> None:
        """Keep what is called, as it is: the calls were sites once."""
        self.pieces.append(piece)
        self.kept.append(piece.text)
        self.records.append(record)

    def drop_unused(self) -> None:
        """Leave out executables that only deleted functions ran."""
        names = names_in([each.text for each in self.pieces if not each.identity.startswith("=")])
        unused = {
            each.identity
            for each in self.pieces
            if each.identity.startswith("=")
            and EXECUTABLE in each.text
            and each.identity[1:] not in names
        }
        self.pieces = [each for each in self.pieces if each.identity not in unused]
        self.records = [each for each in self.records if each.identity not in unused]

    def _write(self, wanted: Wanted) -> None:
        unit = wanted.unit
        self.pieces.append(Piece(unit.identity, wanted.name, unit.mark, unit.text))
        self.imports |= unit.imports
        self._remember(wanted, digest(unit.text), State.GENERATED)

    def _remember(self, wanted: Wanted, known: str, state: State) -> None:
        identity = wanted.unit.identity
        self.records.append(
            Record(identity, wanted.name, wanted.params, wanted.sources, known, state)
        )


def merge(
    module: str,
    doc: str,
    wanted: Sequence[Wanted],
    records: Sequence[Record],
    *,
    disk: ModuleText | None,
    choices: Choices,
    used: frozenset[str] = frozenset(),
    called: frozenset[str] = frozenset(),
) -> Merged:
    """Bring the three together for one module; `disk` is None where there is no such file yet.

    `used` are names that kept text of other modules takes from this one, `called` entrypoints
    that the service calls.
    """
    known = {record.identity: record for record in records}
    disk = _without_copies(disk, known) if disk else None
    pieces = {piece.identity: piece for piece in disk.pieces if piece.identity} if disk else {}
    state = _Merge(module, choices, pieces, [], [], [], [], set())
    for each in wanted:
        before = known.get(each.was or each.unit.identity) if disk else None
        state.take(each, before)
    if any(record.state is State.DELETED for record in state.records):
        state.drop_unused()
    asked = {each.was or each.unit.identity for each in wanted}
    asked |= {each.unit.identity for each in wanted}
    for record in records:
        if record.identity in asked or record.identity in {"", DOC}:
            continue
        if record.identity not in pieces or record.identity.startswith("="):
            continue
        if f"{module}.{record.name}" in called and record.state is not State.ORPHAN:
            state.stay(record, pieces[record.identity])
        else:
            state.orphan(record, pieces[record.identity])
    if disk:
        ours = {record.identity for record in records} | asked
        foreign = [piece for piece in disk.pieces if piece.identity not in ours]
        state.kept.extend(piece.text for piece in foreign)
        _insert(
            state.pieces, [piece for piece in disk.pieces if piece not in foreign], foreign, disk
        )
    _keep_constants(state, records, disk, names_in(state.kept) | used)
    names = names_in(state.kept)  # with those of the constants
    imports = {Import(*pair) for pair in state.imports}
    if disk:
        bound = {each.bound for each in imports}
        imports |= {
            each for each in disk.imports if each.bound in names and each.bound not in bound
        }
        doc = _doc(doc, disk, known, state.records)
    else:
        state.records.insert(0, Record(DOC, "", (), (), digest(doc)))
    text = ModuleText(doc, tuple(imports), tuple(state.pieces), disk.footer if disk else "")
    return Merged(text, tuple(state.records), tuple(state.notes), names_in(state.kept))


def _without_copies(disk: ModuleText, known: Mapping[str, Record]) -> ModuleText:
    """Of statements with one mark, let one keep it: the others are a person's copies."""
    count: dict[str, int] = {}
    for piece in disk.pieces:
        count[piece.identity] = count.get(piece.identity, 0) + 1
    taken: set[str] = set()
    pieces: list[Piece] = []
    for piece in disk.pieces:
        if not piece.identity or count[piece.identity] == 1:
            pieces.append(piece)
            continue
        record = known.get(piece.identity)
        same = [each for each in disk.pieces if each.identity == piece.identity]
        ours = next((each for each in same if record and each.name == record.name), same[0])
        if piece is ours and piece.identity not in taken:
            taken.add(piece.identity)
            pieces.append(piece)
        else:
            pieces.append(replace(piece, identity="", mark=""))
    return replace(disk, pieces=tuple(pieces))


def _doc(doc: str, disk: ModuleText, known: Mapping[str, Record], records: list[Record]) -> str:
    """A docstring that a person wrote is theirs."""
    record = known.get(DOC)
    ours = record is None or digest(disk.doc) in {record.digest, digest(doc)}
    records.insert(0, Record(DOC, "", (), (), digest(doc)))
    return doc if ours else disk.doc


def _keep_constants(
    state: _Merge, records: Sequence[Record], disk: ModuleText | None, names: frozenset[str]
) -> None:
    """Constants that only kept text uses stay, behind the others."""
    if disk is None:
        return
    present = {piece.identity for piece in state.pieces}
    place = sum(piece.identity.startswith("=") for piece in state.pieces)
    for record in records:
        piece = state.disk.get(record.identity)
        if piece is None or record.identity in present or not record.identity.startswith("="):
            continue
        if piece.name in names:
            state.pieces.insert(place, piece)
            place += 1
            state.records.append(record)
            state.kept.append(piece.text)


def _insert(
    pieces: list[Piece], ours: Sequence[Piece], foreign: Sequence[Piece], disk: ModuleText
) -> None:
    """Put what a person added behind the statement that it stood behind."""
    del ours
    before = ""
    for piece in disk.pieces:
        if piece not in foreign:
            before = piece.identity
            continue
        place = next(
            (number for number, each in enumerate(pieces, 1) if before and each.identity == before),
            0 if not before else len(pieces),
        )
        pieces.insert(place, piece)
        before = piece.identity or before
