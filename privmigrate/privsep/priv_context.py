"""oslo.privsep's module `priv_context`, by its names: contexts, their options, and `init`."""

from typing import TYPE_CHECKING, Any

from privmigrate.privsep.context import Method, PrivContext, init

if TYPE_CHECKING:
    from privmigrate.privsep.options import OPTS, CapNameOrInt

__all__ = ["OPTS", "CapNameOrInt", "Method", "PrivContext", "init"]


def _list_opts() -> list[tuple[Any, list[Any]]]:
    """Say which options there are: the entry point that oslo-config-generator calls."""
    from privmigrate.privsep import options

    return options.list_opts()


def __getattr__(name: str) -> object:
    # what needs oslo.config is loaded when it is asked for, and never in a bare helper
    if name in {"OPTS", "CapNameOrInt"}:
        from privmigrate.privsep import options

        return getattr(options, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
