"""What a caller makes of a command's result: which exit codes are errors, retries, logging.

The client's side: nothing here carries privilege. The meaning of each option, and what is raised
and logged, is that of `oslo_concurrency.processutils.execute`.
"""

import logging
import os
import random
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, cast

from privmigrate.errors import Refused
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.execute import (
    ExecResult,
    ExecutionTimeout,
    Output,
    PrivilegeDenied,
    ProcessExecutionError,
)
from privmigrate.privsep.running import TimedOut

_LOG: Final = logging.getLogger(__name__)
_SECRET: Final = re.compile(
    r"""(?ix) (?P<key> (?:--?)? [\w.-]* (?:password|passwd|passphrase|secret|token|api_?key)
        (?![\w.-]) ["']? \s* [=:\s] \s* ["']? ) (?P<value> [^\s"',;]+ )"""
)


class LogErrors(IntEnum):
    """When outputs of a command that failed are logged; the numbers are processutils'."""

    DEFAULT = 0
    ALL = 1
    FINAL = 2


@dataclass(frozen=True, slots=True)
class Policy:
    """How one caller judges a command; without arguments, only exit code 0 is success.

    Attributes:
        check_exit_code: the exit code or codes that are no error; False: none is; True: 0.
        attempts: how often to try, at least once.
        delay_on_retry: whether to wait 0.2 to 2 seconds between attempts.
        log_errors: whether outputs are logged at every error, at the last, or never.
        loglevel: the level of everything that is logged.
        timeout: seconds after which the command is stopped; None or 0: never.
        interval: seconds to wait between attempts, times `backoff_rate` to the power of how many
            there were, in place of what `delay_on_retry` says.
        raise_timeout: whether a command that failed because its time was up is an error, and not
            a result that says so; None: if there is an exit code that is.
    """

    check_exit_code: bool | int | Iterable[int] | None = True
    attempts: int = 1
    delay_on_retry: bool = True
    log_errors: int | None = LogErrors.DEFAULT
    loglevel: int = logging.DEBUG
    timeout: float | None = None
    interval: float | None = None
    backoff_rate: float = 2
    raise_timeout: object = None

    def apply(self, call: Callable[[], ExecResult], cmd: str | Callable[[], str]) -> Output:
        """Call until the result is no error; raise ProcessExecutionError if none was.

        `cmd` is how messages name the command, or gives it when one is needed. A refusal by the
        privileged side is PrivilegeDenied, and not tried again. If in the last attempt the time
        was up, what it failed with is ExecutionTimeout.
        """
        codes = self._codes()
        attempts = max(self.attempts, 1)
        for attempt in range(1, attempts + 1):
            result, late = self._ask(call, cmd)
            if result is not None and (codes is None or result.exit_code in codes):
                return Output(os.fsdecode(result.stdout), os.fsdecode(result.stderr))
            error = self._error(result, late, cmd)
            self._log(error, last=attempt == attempts)
            if attempt == attempts:
                if late is None or self._raises_timeout():
                    raise error
                return Output("", late)
            self._wait(attempt)
        raise AssertionError("a loop of at least one attempt ended without a result")

    def _ask(
        self, call: Callable[[], ExecResult], cmd: str | Callable[[], str]
    ) -> tuple[ExecResult | None, str | None]:
        """What came of it, if that is known; and if its time was up, words for that."""
        try:
            return call(), None
        except Refused as refused:
            raise PrivilegeDenied.because(str(refused), _named(cmd)) from None
        except TimedOut as late:
            result: ExecResult | None = late.result
            who = f"proc {late.pid}"
        except PrivsepTimeout:
            if not self.timeout:
                raise
            result, who = None, "the daemon"
        text = f"Time out on {who} after waiting {self.timeout} seconds when running {_named(cmd)}"
        return result, text

    def _error(
        self, result: ExecResult | None, late: str | None, cmd: str | Callable[[], str]
    ) -> ProcessExecutionError:
        if result is None or late is not None:
            return ExecutionTimeout("", late, None, _named(cmd))
        return ProcessExecutionError(
            mask(os.fsdecode(result.stdout)),
            mask(os.fsdecode(result.stderr)),
            result.exit_code,
            _named(cmd),
        )

    def _raises_timeout(self) -> bool:
        wanted = self.check_exit_code if self.raise_timeout is None else self.raise_timeout
        return wanted is None or bool(wanted)

    def _wait(self, attempt: int) -> None:
        """Wait before the next attempt."""
        if self.interval is not None:
            time.sleep(max(0, self.interval * self.backoff_rate**attempt))
        elif self.delay_on_retry:
            time.sleep(random.randint(20, 200) / 100)  # noqa: S311 - no secret

    def _codes(self) -> frozenset[int] | None:
        """The exit codes that are no error; None: all."""
        wanted = self.check_exit_code
        if wanted is False:
            return None
        if wanted is None or wanted is True:
            return frozenset((0,))
        return frozenset((wanted,) if isinstance(wanted, int) else wanted)

    def _log(self, error: ProcessExecutionError, *, last: bool) -> None:
        if self.log_errors == LogErrors.ALL or (self.log_errors == LogErrors.FINAL and last):
            _LOG.log(
                self.loglevel,
                "command: %r\nexit code: %r\nstdout: %r\nstderr: %r",
                error.cmd,
                error.exit_code,
                error.stdout,
                error.stderr,
            )
        again = "Not retrying." if last else "Retrying."
        _LOG.log(self.loglevel, "%r failed. %s", error.cmd, again)


def mask(text: str) -> str:
    """Replace passwords and the like by three asterisks.

    By oslo.utils' function where the service has it loaded, which is what masked them before.
    """
    theirs = getattr(sys.modules.get("oslo_utils.strutils"), "mask_password", None)
    if theirs is not None:
        return cast("Callable[[str], str]", theirs)(text)
    return _SECRET.sub(r"\g<key>***", text)


def _named(cmd: str | Callable[[], str]) -> str:
    return mask(cmd if isinstance(cmd, str) else cmd())
