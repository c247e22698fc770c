"""What neutron's callers make of a command's result; the client's side, without any privilege.

The meaning of each option, and what is returned, raised and logged, is that of
``neutron.agent.linux.utils.execute``.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from privmigrate.errors import EXIT_UNAUTHORIZED, Refused
from privmigrate.privsep.execute import ExecResult, Output

_LOG: Final = logging.getLogger(__name__)


class ProcessExecutionError(RuntimeError):
    """As neutron-lib's of this name, for where that is not loaded."""

    def __init__(self, message: str, returncode: int) -> None:
        super().__init__(message)
        self.returncode = returncode

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return (type(self), (self.args[0], self.returncode))


@dataclass(frozen=True, slots=True)
class Policy:
    """How one caller judges a command.

    Attributes:
        check_exit_code: whether a failure is raised.
        extra_ok_codes: exit codes besides 0 that are no failure.
        log_fail_as_error: whether a failure is logged.
        return_stderr: whether a pair is returned, and not the standard output alone.
    """

    check_exit_code: object = True
    extra_ok_codes: Iterable[int] | None = None
    log_fail_as_error: object = True
    return_stderr: object = False

    def apply(
        self, call: Callable[[], ExecResult], cmd: Callable[[], str], stdin: object = None
    ) -> str | Output:
        """Call; a refusal by the privileged side is exit code 99, as rootwrap gave it."""
        try:
            result = call()
        except Refused as refused:
            result = ExecResult(EXIT_UNAUTHORIZED, b"", os.fsencode(str(refused)))
        out, err = os.fsdecode(result.stdout), os.fsdecode(result.stderr)
        if result.exit_code and result.exit_code not in (self.extra_ok_codes or ()):
            message = (
                f"Exit code: {result.exit_code}; Cmd: {cmd()}; Stdin: {stdin or ''}; "
                f"Stdout: {out}; Stderr: {err}"
            )
            if self.log_fail_as_error:
                _LOG.error(message)
            if self.check_exit_code:
                raise _error()(message, returncode=result.exit_code)
        else:
            _LOG.debug("Exit code: %s", result.exit_code)
        return Output(out, err) if self.return_stderr else out


def _error() -> Callable[..., Exception]:
    """Neutron-lib's error where the service has it loaded: that is what its handlers name."""
    theirs = getattr(sys.modules.get("neutron_lib.exceptions"), "ProcessExecutionError", None)
    return ProcessExecutionError if theirs is None else theirs
