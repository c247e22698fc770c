"""Which function a CALL means; the only place that imports what a message names.

A client may name any string. What it can make us execute by naming it is bounded in this order:
the name must be `module:function`; the module must be the context's prefix or lie below it, by
whole components; its file is located without executing anything; the code in it, read and not
run, must bind the function's name and speak of an entrypoint. Only then is it imported, and only
what the context's decorator registered meanwhile can be called.
"""

import importlib
import importlib.machinery
import sys
from _thread import allocate_lock
from collections.abc import Callable
from types import CodeType
from typing import Protocol, cast

Answer = Callable[..., object]
"""An entrypoint's function, checked if it is a command."""


class Context(Protocol):
    """What the daemon needs of a context, ours or oslo.privsep's."""

    prefix: str

    def is_entrypoint(self, func: object, /) -> bool:
        """Whether the context's decorator made this."""

    def set_client_mode(self, enabled: bool, /) -> None:  # noqa: FBT001 - oslo.privsep's signature
        """Whether its entrypoints ask a daemon."""


class Entrypoints:
    """The sealed table of a context's entrypoints, and the one way for more to come in."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seal: Callable[..., None] = getattr(context, "seal", _no_seal)
        self._registered: Callable[[str], object] | None = getattr(context, "find", None)
        self._ready: dict[str, Answer] = {}
        self._lock = allocate_lock()
        self._seal(sealed=True)

    def find(self, name: str) -> Answer:
        """Give what answers calls of `name`; raise NameError if this is none of ours."""
        return self._ready.get(name) or self._find(name)

    def has(self, name: object) -> bool:
        """Whether this is one of ours that was called already."""
        return name in self._ready

    def _find(self, name: str) -> Answer:
        with self._lock:
            answer = self._look_up(name)
            if answer is None:
                self._load(name)
                answer = self._look_up(name)
            if answer is None:
                raise _not_exported(name)
            self._ready[name] = answer
            return answer

    def _look_up(self, name: str) -> Answer | None:
        if self._registered is not None:
            found = self._registered(name)
            return None if found is None else cast("Answer", found.answer)  # type: ignore[attr-defined]
        # oslo.privsep's contexts mark the function and keep no table
        module, _, function = name.partition(":")
        if not self._is_below_prefix(module):
            return None
        marked = getattr(sys.modules.get(module), function, None)
        if marked is None or not self._context.is_entrypoint(marked):
            return None
        return cast("Answer", marked)

    def _load(self, name: str) -> None:
        module, _, function = name.partition(":")
        # INV-10: nothing that a message names is executed before all of this was judged
        if not self._is_below_prefix(module) or module in sys.modules:
            raise _not_exported(name)
        code = _read_code(module)
        if code is None or not _may_define(code, function.partition(".")[0]):
            raise _not_exported(name)
        self._seal(sealed=False)
        try:
            importlib.import_module(module)
        finally:
            self._seal(sealed=True)

    def _is_below_prefix(self, module: str) -> bool:
        prefix = self._context.prefix
        if not all(part.isidentifier() for part in module.split(".")):
            return False
        return module == prefix or module.startswith(prefix + ".")


def find_object(path: str) -> object:
    """Import the object of a dotted name that whoever started this process gave.

    Raise ImportError or AttributeError if there is none.
    """
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _read_code(module: str) -> CodeType | None:
    """Locate a module and read its code, without executing it or the packages above it."""
    spec: importlib.machinery.ModuleSpec | None = None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        loaded = sys.modules.get(name)
        if loaded is not None:
            spec = loaded.__spec__
        elif depth == 1:
            spec = _locate_top(name)
        else:
            folders = spec.submodule_search_locations if spec is not None else None
            spec = importlib.machinery.PathFinder.find_spec(name, folders) if folders else None
        if spec is None:
            return None
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    if get_code is None:
        return None
    try:
        code = get_code(module)
    except (ImportError, SyntaxError, OSError):
        return None
    return code if isinstance(code, CodeType) else None


def _locate_top(name: str) -> importlib.machinery.ModuleSpec | None:
    # every finder, because editable installs bring one of their own
    for finder in sys.meta_path:
        spec = finder.find_spec(name, None)
        if spec is not None:
            return spec
    return None


def _may_define(code: CodeType, function: str) -> bool:
    """Whether this module's own statements bind the name, and decorate with an entrypoint."""
    return function in code.co_names and any("entrypoint" in name for name in code.co_names)


def _no_seal(*, sealed: bool) -> None:
    """oslo.privsep's contexts have no table."""


def _not_exported(name: str) -> NameError:
    return NameError(f"Invalid privsep function: {name.replace(':', '.')} not exported")
