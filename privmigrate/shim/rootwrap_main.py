"""`privmigrate-rootwrap rootwrap.conf COMMAND`: oslo-rootwrap's command line, without installing.

Also what the installed client turns to when its index cannot answer: `--as NAME` is how that was
called. It makes a new index, keeps it for the clients to come, and goes on as the client does;
in strict mode the whole policy has to agree with what the client's code decides.
"""

import configparser
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from privmigrate.errors import EXIT_BAD_CONFIG, EXIT_NO_COMMAND, InputError, Refused
from privmigrate.shim import client
from privmigrate.shim.caller import Caller


@dataclass(frozen=True, slots=True)
class Call:
    """How oslo-rootwrap was called, and what the installer was told to accept."""

    name: str
    words: tuple[str, ...]
    accepted: tuple[str, ...]
    serve: bool = False  # become the daemon instead of running a command


def command() -> int:
    """Be `privmigrate-rootwrap`, of whose words none is an option of ours."""
    return _answer(Call(sys.argv[0], tuple(sys.argv[1:]), ()))


def main() -> int:
    """Run one command; the exit statuses are rootwrap's."""
    return _answer(parse(sys.argv))


def _answer(call: Call) -> int:
    take_name(call.name)
    if call.serve:
        from privmigrate.shim.oneshot_main import serve

        return serve(call.name, call.words[0], call.accepted)
    if len(call.words) < 2:  # noqa: PLR2004 - a configuration and a command
        return client.give_up(call.name, client.Quit(EXIT_NO_COMMAND, "No command specified"))
    try:
        return perform(call)
    except InputError as error:
        why = explain(call.words[0]) or str(error)
        return client.give_up(call.name, client.Quit(EXIT_BAD_CONFIG, why))
    except Refused as error:
        why = f"{call.words[0]} will not be used: {error}"
        return client.give_up(call.name, client.Quit(EXIT_BAD_CONFIG, why))
    except client.Slow:
        why = "a filter for this command cannot be asked"
        return client.give_up(call.name, client.Quit(client.EXIT_FAILED, why))
    except MemoryError:  # the caller's limit is ours
        return client.give_up(call.name, client.Quit(client.EXIT_FAILED, "not enough memory"))


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


def take_name(name: str) -> None:
    """Be called in `ps` as the client was; nothing depends on it."""
    try:
        with open("/proc/self/comm", "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 5 ms
            file.write(name.rpartition("/")[2])
    except OSError:
        return


def parse(argv: Sequence[str]) -> Call:
    """Take the words that the installed client puts in front; behind --as NAME are its caller's.

    He may say anything: above all what is accepted is not his to say.
    """
    name, *words = argv
    accepted: list[str] = []
    while True:
        match words:
            case ["--accept", folder, *words]:
                accepted.append(folder)
            case ["--serve", config]:
                return Call(name, (config,), tuple(accepted), serve=True)
            case ["--serve", config, "--as", name]:
                return Call(name, (config,), tuple(accepted), serve=True)
            case ["--as", name, *words]:
                return Call(name, tuple(words), tuple(accepted))
            case _:
                return Call(name, tuple(words), tuple(accepted))


def perform(call: Call) -> int:
    """Decide and run by a new index; raise as `index.build`, or Slow."""
    from privmigrate.shim.index import Source, build, store

    config, *argv = call.words
    environ = dict(os.environb)
    built = build(Source(config, dict(os.environ), call.accepted))
    store(built, config)
    index = client.Index(built.data)
    if built.keep and built.warning:  # as often as something has changed
        client.Log(call.name, index.syslog).to_syslog_only(client.WARNING, built.warning)

    commands: list[client.Command] = []

    def decided() -> client.Command:
        command = client.decide(index, list(argv), Caller(environ))
        commands.append(command)
        if built.settings.strict:
            from privmigrate.shim.strict import confirm

            confirm(built.config, argv, command)
        return command

    slow = [sys.executable, "-I", "-m", "privmigrate.shim.rootwrap_main"]
    if len(sys.argv) > len(call.words) + 1:  # the installed client knows better how to start us
        slow[1:] = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]
    for folder in call.accepted:
        slow += ["--accept", folder]
    client_call = client.Call(call.name, config, argv, [*slow, "--as"])
    if built.settings.mode == "learn" and not os.geteuid():
        from privmigrate.shim.learning import Learning

        with Learning(config, client.Log(call.name, index.syslog)) as learning:
            status = client.perform(index, client_call, decided)
            if commands:
                learning.keep(commands[0], status)
        return status
    return client.perform(index, client_call, decided)


if __name__ == "__main__":
    sys.exit(main())
