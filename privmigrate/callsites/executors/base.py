"""What a convention is: how the calls of one kind of executor are recognised and read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from privmigrate.callsites.site import Convention, Reason
from privmigrate.examples import Ignored, Yields


@dataclass(frozen=True, slots=True)
class Callee:
    """What is called, as far as it is known.

    Attributes:
        text: as it is written: ``self._execute``.
        target: dotted name of what it leads to, or "" where that cannot be told.
        rooted: the call itself says whether it runs as root.
        forwards: the call passes the positional arguments of its function on.
        sudo: the position of an argument that is a list and begins with this word, or -1.
    """

    text: str
    target: str
    rooted: bool
    forwards: bool = False
    sudo: int = -1

    @property
    def name(self) -> str:
        """The last name of `text`."""
        return self.text.rpartition(".")[2]


class Executor(ABC):
    """One convention.

    Attributes:
        SEEDS: what a file mentions that calls such an executor.
        CONVENTION: how the command line is passed.
        ALWAYS_ROOT: it runs as root, whatever its keyword arguments say.
        IN_NAMESPACE: it runs in the network namespace of what it is called on.
        SENTINEL: the command line is the list that begins with ``sudo``, without that word.
        DOUBTS: why no call of it can be replaced as it stands.
    """

    EXAMPLES: ClassVar[tuple[Yields | Ignored, ...]]
    SEEDS: ClassVar[tuple[bytes, ...]] = (b"run_as_root",)
    CONVENTION: ClassVar[Convention] = Convention.OSLO
    ALWAYS_ROOT: ClassVar[bool] = False
    IN_NAMESPACE: ClassVar[bool] = False
    SENTINEL: ClassVar[bool] = False
    DOUBTS: ClassVar[tuple[Reason, ...]] = ()

    @abstractmethod
    def recognises(self, callee: Callee) -> bool:
        """Whether a call is one of this executor."""


def named(target: str, patterns: Sequence[str]) -> bool:
    """Whether a dotted name is one of the patterns'."""
    return any(fnmatchcase(target, pattern) for pattern in patterns)
