"""What can go wrong, by whose fault, and the exit codes that rootwrap gave it.

Three families: bad input (`InputError`), a refusal or a failure at run time (`Refused`,
`ChannelClosed`), and our own mistakes (`InternalError`).
"""

from typing import Final

# oslo.rootwrap 7.10, oslo_rootwrap/cmd.py. Services compare with these numbers.
EXIT_NO_EXECUTABLE: Final = 96
EXIT_BAD_CONFIG: Final = 97
EXIT_NO_COMMAND: Final = 98
EXIT_UNAUTHORIZED: Final = 99
SIGNAL_BASE: Final = 128


class PrivmigrateError(Exception):
    """The base of everything that this package raises on purpose."""


class InputError(PrivmigrateError):
    """A file, an option or a configuration that cannot be used; the message says where and why."""


class Refused(PrivmigrateError):  # noqa: N818 - the field's word for the outcome
    """The privileged side will not do what it was asked; the message says which check failed."""


class ChannelClosed(PrivmigrateError, OSError):  # noqa: N818 - names the state of the channel
    """The daemon went away; `may_have_run` says whether the call may have had an effect.

    Attributes:
        may_have_run: False only where the request certainly never reached the daemon.
    """

    def __init__(self, message: str, *, may_have_run: bool = True) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class InternalError(PrivmigrateError):
    """A mistake of ours. Please report it, with the message."""
