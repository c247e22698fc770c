"""Where eventlet has replaced parts of the standard library: wait with it, or take them back.

Nothing here imports eventlet; a process that did not is not asked for it.
"""

import select
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Final

MODULES: Final = ("os", "select", "socket", "thread", "time", "MySQLdb", "builtins", "subprocess")
"""eventlet's names for what it replaces."""


Library = tuple[str, Callable[[], Iterable[tuple[str, ModuleType]]]]


def libraries() -> list[Library]:
    """What eventlet would replace: its name for it, and what gives names and green modules."""
    patcher = sys.modules.get("eventlet.patcher")
    found: list[Library] = []
    for name in MODULES if patcher is not None else ():
        for function in (f"_green_{name}_modules", f"_green_{name}"):
            if hasattr(patcher, function):
                found.append((name, getattr(patcher, function)))
                break
    return found


def unpatch() -> None:
    """Undo eventlet's monkey patching in this process, as far as it was done.

    What our own modules imported by name from a patched module is put right as well.
    """
    patcher = sys.modules.get("eventlet.patcher")
    if patcher is None:
        return
    originals: dict[int, object] = {}
    for name, modules in libraries():
        for module_name, green in modules() if patcher.is_monkey_patched(name) else ():
            _restore(sys.modules.get(module_name), patcher.original(module_name), green, originals)
    originals.pop(id(None), None)
    package = __name__.partition(".")[0]
    for name, module in tuple(sys.modules.items()):
        for key, value in tuple(vars(module).items()) if name.startswith(package) else ():
            if id(value) in originals:
                setattr(module, key, originals[id(value)])


def _restore(
    patched: object, original: ModuleType, green: ModuleType, originals: dict[int, object]
) -> None:
    """Give one module its own functions again; note which took the place of which."""
    for attribute in (*green.__patched__, *getattr(green, "__deleted__", ())):
        if hasattr(original, attribute):
            value = getattr(original, attribute)
            originals[id(getattr(patched, attribute, None))] = value
            setattr(patched, attribute, value)
        elif hasattr(patched, attribute):
            delattr(patched, attribute)


def wait(fd: int, seconds: float | None, *, write: bool = False) -> bool:
    """Wait until a descriptor can be read (or written); False if it took longer.

    eventlet takes `poll` away, and gives a `select` that lets other green threads run.
    """
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(fd, select.POLLOUT if write else select.POLLIN | select.POLLRDHUP)
        return bool(poller.poll(None if seconds is None else seconds * 1000))
    readers, writers = ((), (fd,)) if write else ((fd,), ())
    return any(select.select(readers, writers, (), seconds))
