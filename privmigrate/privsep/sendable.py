"""Which part of a value cannot be sent: for the error that says so, on the side where it is."""

from typing import Final


def explain_unsendable(value: object, name: str) -> str | None:
    """Say which part of `value` cannot be sent, and of which type it is; None if all can be."""
    todo: list[tuple[object, _Path | None]] = [(value, None)]
    while todo:
        item, path = todo.pop()
        match item:
            case None | float() | bytes() | bytearray() | memoryview():
                continue
            case str():
                if is_encodable(item):
                    continue
                why = "holds half of a character"
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


def is_encodable(text: str) -> bool:
    """Whether a text is bytes on the wire: the surrogates that stand for bytes are, no others."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def encodable(text: str) -> str:
    """A text that can be sent: the same, or with escapes in place of what cannot."""
    return text if is_encodable(text) else text.encode("utf-8", "backslashreplace").decode()


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
