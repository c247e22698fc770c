"""The options of a context in oslo.config: one section per context.

Imported only where oslo.config is wanted: it costs 90 ms and 15 MB.
"""

import copy
from collections.abc import Iterable
from typing import Any, Final

from oslo_config import cfg, types
from oslo_config.iniparser import ParseError

from privmigrate.privsep import settings


class CapNameOrInt(types.ConfigType):
    """A capability by its kernel name or its number."""

    def __init__(self) -> None:
        super().__init__("capability")

    def __call__(self, value: object) -> int:
        """Read a value of the option."""
        from privmigrate.linux.capabilities import parse_capability

        return parse_capability(str(value))

    def _formatter(self, value: object) -> str:
        return str(value)


OPTS: Final = [
    cfg.StrOpt("user", help="User that the privsep daemon should run as."),
    cfg.StrOpt("group", help="Group that the privsep daemon should run as."),
    cfg.Opt(
        "capabilities",
        type=types.List(CapNameOrInt()),
        default=[],
        help="Linux capabilities that the privsep daemon and its commands keep. "
        "Where it is not set, the context in the service's source says which.",
    ),
    cfg.IntOpt(
        "thread_pool_size",
        min=1,
        help="How many calls the privsep daemon executes at the same time.",
        default=settings.default_pool_size(),
        sample_default="the number of processors",
    ),
    cfg.StrOpt(
        "helper_command",
        help="Command that starts the privsep daemon. --privsep_context and "
        "--privsep_sock_path are added to it. By default it is "
        f'"sudo {settings.HELPER}" with the configuration files of this service.',
    ),
    cfg.StrOpt(
        "logger_name",
        help="Logger in the service that receives what the privsep daemon logs.",
        default=settings.DEFAULT_LOGGER,
    ),
    cfg.BoolOpt(
        "log_daemon_traceback",
        help="Log the daemon's traceback of every exception that a call raises.",
        default=False,
    ),
    cfg.BoolOpt(
        "unrestricted_commands",
        help="Let the commands of a daemon that runs as root have every capability again, as "
        "with oslo.privsep. Only for services that rely on it: the list of capabilities then "
        "restricts Python code alone.",
        default=False,
    ),
    cfg.BoolOpt(
        "allow_setuid_binaries",
        help="Let commands gain by setuid and file-capability programs, up to the capabilities "
        "of this context. Only for services whose commands need such a program.",
        default=False,
    ),
]


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Say which options there are, for oslo-config-generator."""
    group = cfg.OptGroup(
        settings.DEFAULT_SECTION,
        title="privmigrate options",
        help="Options for the privileged daemon of one context. A service may use other "
        "section names, one per context.",
    )
    return [(group, copy.deepcopy(OPTS))]


def register(section: str, capabilities: Iterable[int], logger_name: str) -> None:
    """Make the options of a context known, with the context's arguments as their defaults."""
    cfg.CONF.register_opts(OPTS, group=section)
    cfg.CONF.set_default("capabilities", group=section, default=list(capabilities))
    cfg.CONF.set_default("logger_name", group=section, default=logger_name)


def section_of(name: str) -> Any:
    """The values of a section."""
    return cfg.CONF[name]


def read(context: settings.Context) -> settings.Settings:
    """Read a context's settings from oslo.config.

    Contexts may share a section, and defaults then overwrite each other: what no administrator
    has set comes from the context itself.
    """
    section = context.conf
    return settings.Settings(
        user=section.user,
        group=section.group,
        capabilities=tuple(section.capabilities)
        if _is_set("capabilities", context.cfg_section)
        else context.capabilities,
        thread_pool_size=section.thread_pool_size,
        helper_command=section.helper_command,
        logger_name=section.logger_name
        if _is_set("logger_name", context.cfg_section)
        else context.logger_name,
        log_daemon_traceback=section.log_daemon_traceback,
        unrestricted_commands=section.unrestricted_commands,
        allow_setuid_binaries=section.allow_setuid_binaries,
    )


def _is_set(name: str, section: str) -> bool:
    location = cfg.CONF.get_location(name, section)
    defaults = {cfg.Locations.opt_default, cfg.Locations.set_default}
    return location is not None and location.location not in defaults


def load(files: Iterable[str], folders: Iterable[str]) -> None:
    """Parse configuration files; raise what oslo.config raises, without any of their text.

    Whoever names the files reads the message, and may name one that is not theirs to read.
    """
    words = [word for file in files for word in ("--config-file", file)]
    words += [word for folder in folders for word in ("--config-dir", folder)]
    # oslo.config would look into the home of whoever called sudo otherwise, and into variables
    # (OS_SECTION__OPTION), which count for more than files and which sudo may be told to keep
    try:
        cfg.CONF(
            args=words,
            project="privsep",
            default_config_files=[],
            default_config_dirs=[],
            use_env=False,
        )
    except cfg.ConfigFileParseError as error:
        cause = error.__context__
        where = f"line {cause.lineno}, {cause.msg}" if isinstance(cause, ParseError) else "no INI"
        raise cfg.ConfigFileParseError(error.config_file, where) from None


def read_config_paths() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The configuration files and folders of this service: what the helper must be given."""
    return _paths("config_file"), _paths("config_dir")


def _paths(name: str) -> tuple[str, ...]:
    try:
        found = getattr(cfg.CONF, name)
    except cfg.NoSuchOptError:
        return ()
    return tuple(found or ())
