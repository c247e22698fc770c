"""Which part of a value cannot be sent: for the error that says so, on the side where it is."""

from typing import Final


def explain_unsendable(value: object, name: str) -> str | None:
    """Say which part of `value` cannot be sent, and of which type it is; None if all can be."""
    todo: list[tuple[object, _Path | None]] = [(value, None)]
    while todo:
        item, path = todo.pop()
        match item:
            case None | float() | str() | bytes() | bytearray() | memoryview():
                continue
            case int():
                if -(2**63) <= item < 2**64:
                    continue
                why = "is an int of more than 64 bits"
            case list() | tuple() | dict():
                depth = 1 if path is None else path[2] + 1
                if depth <= _DEPTH:
                    if isinstance(item, dict):
                        todo.extend((key, (path, None, depth)) for key in item)
                    pairs = item.items() if isinstance(item, dict) else enumerate(item)
                    todo.extend((part, (path, key, depth)) for key, part in pairs)
                    continue
                why = "is nested too deeply"
            case _:
                why = f"is of type {type(item).__module__}.{type(item).__qualname__}"
        return f"{_spell(name, path)} {why}"
    return None


_Path = tuple["_Path | None", object, int]
"""Where a part is: in what, under which index or key (None: as a key), and how deep."""


def _spell(name: str, path: _Path | None) -> str:
    steps: list[str] = []
    while path is not None:
        steps.append("'s key" if path[1] is None else f"[{path[1]!r}]")
        path = path[0]
    text = "".join(reversed(steps))
    return f"{name}{text[:_LONGEST_PATH]}"


_LONGEST_PATH: Final = 200
_DEPTH: Final = 500  # msgpack packs 511 levels; the message around takes a few
