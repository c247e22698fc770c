"""What an administrator may set for a context, and where it comes from.

oslo.config is loaded by whoever reads configuration files, never by this module alone: a helper
without configuration files goes by what the context says.
"""

import os
import sys
from typing import Any, Final, NamedTuple, Protocol

DEFAULT_LOGGER: Final = "privmigrate.privsep.daemon"
DEFAULT_SECTION: Final = "privsep"
HELPER: Final = "privmigrate-helper"


class Context(Protocol):
    """What is read of a context: what its author said, and its section of oslo.config."""

    cfg_section: str
    capabilities: tuple[int, ...]
    logger_name: str

    @property
    def conf(self) -> Any:
        """The values of the section."""


class Settings(NamedTuple):
    """The options of one context, from its arguments and from the configuration."""

    user: str | None
    group: str | None
    capabilities: tuple[int, ...]
    thread_pool_size: int
    helper_command: str | None
    logger_name: str
    log_daemon_traceback: bool
    unrestricted_commands: bool
    allow_setuid_binaries: bool


def default_pool_size() -> int:
    """As many threads as there are processors, as oslo.privsep has it."""
    return os.cpu_count() or 1


def read(context: Context) -> Settings:
    """Read the context's settings: from oslo.config if this process uses it, else its arguments."""
    if not is_configured():
        return read_arguments(context)
    from privmigrate.privsep import options

    return options.read(context)


def read_arguments(context: Context) -> Settings:
    """Go by what the context's author said; there is no configuration."""
    return Settings(
        user=None,
        group=None,
        capabilities=context.capabilities,
        thread_pool_size=default_pool_size(),
        helper_command=None,
        logger_name=context.logger_name,
        log_daemon_traceback=False,
        unrestricted_commands=False,
        allow_setuid_binaries=False,
    )


def read_section(section: Any) -> Settings:
    """Read the section of a context that is oslo.privsep's own: it lacks our options."""
    return Settings(
        user=section.user,
        group=section.group,
        capabilities=tuple(int(number) for number in section.capabilities),
        thread_pool_size=section.thread_pool_size,
        helper_command=section.helper_command,
        logger_name=section.logger_name,
        log_daemon_traceback=section.log_daemon_traceback,
        unrestricted_commands=getattr(section, "unrestricted_commands", False),
        allow_setuid_binaries=getattr(section, "allow_setuid_binaries", False),
    )


def is_configured() -> bool:
    """Whether this process has loaded oslo.config."""
    return "oslo_config.cfg" in sys.modules
