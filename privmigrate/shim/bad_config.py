"""What the shim's commands say of a rootwrap.conf with which they do not start."""

import configparser
import logging

from privmigrate.diagnostics import printable
from privmigrate.errors import EXIT_BAD_CONFIG, InputError
from privmigrate.shim import client


def bad_config(name: str, config: str, error: InputError) -> client.Quit:
    """What oslo-rootwrap says of a configuration, and behind that where it is wrong and how."""
    found = [printable(message) for message in error.messages]
    if (known := explain(config)) is not None:
        found.insert(0, known)
    return client.Quit(EXIT_BAD_CONFIG, f"\n{name}: ".join(found))


def explain(config: str) -> str | None:
    """What oslo-rootwrap says of a configuration that it will not start with."""
    raw = configparser.RawConfigParser()
    try:
        raw.read(config)
        raw.get("DEFAULT", "filters_path")
        options = raw.defaults()
        if "syslog_log_facility" in options and not is_facility(options["syslog_log_facility"]):
            value = options["syslog_log_facility"]
            return f"Incorrect value in {config}: Unexpected syslog_log_facility: {value}"
        if "syslog_log_level" in options:
            value = options["syslog_log_level"]
            if value.upper() not in logging.getLevelNamesMapping():
                return f"Incorrect value in {config}: Unexpected syslog_log_level: {value!r}"
        if "use_syslog" in options:
            raw.getboolean("DEFAULT", "use_syslog")
        for name in ("daemon_timeout", "rlimit_nofile"):
            int(options.get(name, "0"))
    except ValueError as error:
        return f"Incorrect value in {config}: {error.args[0]}"
    except configparser.Error:
        return f"Incorrect configuration file: {config}"
    return None


def is_facility(name: str) -> bool:
    """Whether oslo-rootwrap takes it: a name of syslog(3), or an attribute of the handler."""
    from logging.handlers import SysLogHandler

    return hasattr(SysLogHandler, name) or name in SysLogHandler.facility_names
