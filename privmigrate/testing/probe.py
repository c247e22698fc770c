"""Values for names of which nothing is known: text that has every attribute, item and result.

Two evaluations that ask for the same thing get the same value: `self.volume['name']` is text, and
so is `self`. What stands behind a name is found by trying, see `equivalence`.
"""

import posixpath
import zlib
from collections.abc import Callable, Mapping
from typing import Final, Self

TABLE: Final = frozenset({"a mapping"})
"""Chosen for a path: it is a `Table`."""
_PURE: Final = ("join", "basename", "dirname", "normpath", "split", "splitext", "isabs")


class Values:
    """What is behind each name, by how it is reached; remembers everything that was asked for.

    Attributes:
        chosen: values by path, such as ``self.volume['name']``.
        asked: the paths that were reached, in order.
    """

    def __init__(self, chosen: Mapping[str, object]) -> None:
        self.chosen = dict(chosen)
        self.asked: dict[str, None] = {}

    def at(self, path: str) -> object:
        """The value at a path."""
        self.asked[path] = None
        if path in self.chosen:
            value = self.chosen[path]
            if value is TABLE:
                return Table(self, path)
            return Probe(self, path, value) if type(value) is str else value
        return Probe(self, path, f"word{len(path)}")

    def of_call(self, path: str, number: int) -> object:
        """The value of a call: as chosen for it, and another one for other arguments."""
        value = self.at(path)
        if isinstance(value, Probe):
            return Probe(self, path, f"{value}{number}")
        return value * 100 + number if type(value) is int else value


class Table(dict[str, object]):
    """A mapping that has every key, for text that is formatted with one."""

    def __init__(self, values: Values, path: str) -> None:
        super().__init__()
        self._values, self._path = values, path

    def __missing__(self, key: str) -> object:
        return self._values.at(f"{self._path}[{str(key)!r}]")


class Probe(str):
    """Text that is more than text."""

    __slots__ = ("_path", "_values")
    _path: str
    _values: Values

    def __new__(cls, values: Values, path: str, text: str) -> Self:
        """Make one that knows where it came from."""
        self = super().__new__(cls, text)
        self._path, self._values = path, values
        return self

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._values.at(f"{self._path}.{name}")

    def __getitem__(self, key: object) -> object:  # type: ignore[override]
        if isinstance(key, slice):
            return super().__getitem__(key)
        return self._values.at(f"{self._path}[{str(key)!r}]")

    def __call__(self, *args: object, **kwargs: object) -> object:
        """What a function or method of this name gives back."""
        given = repr([str(each) for each in (*args, *sorted(kwargs.items()))])
        return self._values.of_call(f"{self._path}()", zlib.crc32(given.encode()) % 90 + 10)

    def __rmod__(self, template: str) -> str:
        """Text that is formatted with a mapping, with a number, or with text."""
        if "%(" in template:
            return template % Table(self._values, self._path)
        try:
            return template % (str(self),)
        except TypeError:
            return template % (self.number,)

    @property
    def number(self) -> int:
        """What it counts as where a service calculates with it."""
        digits = "".join(filter(str.isdigit, self))
        return int(digits or zlib.crc32(self.encode()) % 90 + 10)

    def __mul__(self, other: object) -> object:  # type: ignore[override]
        return self.number * _number(other)

    def __rmul__(self, other: object) -> object:  # type: ignore[override]
        return _number(other) * self.number

    def __sub__(self, other: object) -> int:
        return self.number - _number(other)

    def __rsub__(self, other: object) -> int:
        return _number(other) - self.number

    def __floordiv__(self, other: object) -> int:
        return self.number // _number(other)

    def __truediv__(self, other: object) -> float:
        return self.number / _number(other)

    def __hash__(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


def _number(value: object) -> int:
    return value.number if isinstance(value, Probe) else int(str(value))


class Paths:
    """`os.path` without what looks at files."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __getattr__(self, name: str) -> object:
        if name in _PURE:
            found: Callable[..., object] = getattr(posixpath, name)
            return found
        return self._values.at(f"os.path.{name}")


class System:
    """`os` without what does anything."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.path = Paths(values)

    def __getattr__(self, name: str) -> object:
        return self._values.at(f"os.{name}")
