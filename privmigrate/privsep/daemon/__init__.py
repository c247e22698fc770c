"""The privileged process; read `requests`, then `drop`.

The package itself carries the names that oslo.privsep's module `daemon` has for its users:
`FailedToDropPrivileges`, `ProtocolError`, `helper_main`, `un_monkey_patch`.
"""

import sys

from privmigrate.privsep.comm import FailedToDropPrivileges
from privmigrate.privsep.messages import ProtocolError


def helper_main() -> None:
    """Be the helper, with the words of this process's command line."""
    from privmigrate.privsep.daemon.main import main

    sys.exit(main())


def un_monkey_patch() -> None:
    """Give this process the standard library's own functions again, after eventlet took them."""
    from privmigrate.privsep.green import unpatch

    unpatch()


def __getattr__(name: str) -> object:
    # looked for also when a submodule is imported by name: nothing may be loaded for that
    if name in {"EVENTLET_LIBRARIES", "EVENTLET_MODULES"}:
        from privmigrate.privsep import green

        return green.MODULES if name == "EVENTLET_MODULES" else green.libraries()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["FailedToDropPrivileges", "ProtocolError", "helper_main", "un_monkey_patch"]

if __name__ == "__main__":
    # executed as a file: its folder must not be where modules are looked up
    del sys.path[0]
    helper_main()
