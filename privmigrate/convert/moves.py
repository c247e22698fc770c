"""What is to be written into a test file, and what stays in it."""

from dataclasses import dataclass, field

from privmigrate.convert.document import Place
from privmigrate.convert.imports import NewImport
from privmigrate.diagnostics import Span


@dataclass(frozen=True, slots=True)
class Listed:
    """An assertion of a command line that went, which stays, and why."""

    span: Span
    text: str


@dataclass(slots=True)
class Moves:
    """What to write into one test file.

    Attributes:
        expressions: new text, by where an expression begins and ends.
        added: statements, by where the one begins that they come behind.
        first: what functions begin with, by where they begin.
        methods: what classes get, by where they begin.
        imports: import statements, by their text.
        listed: what stays.
        assertions: how many were moved.
        forwarded: how many stay, because what they expect goes on to the mock.
    """

    expressions: dict[tuple[Place, Place], str] = field(default_factory=dict)
    added: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    first: dict[Place, list[str]] = field(default_factory=dict)
    methods: dict[Place, str] = field(default_factory=dict)
    imports: dict[str, NewImport] = field(default_factory=dict)
    listed: list[Listed] = field(default_factory=list)
    assertions: int = 0
    forwarded: int = 0
