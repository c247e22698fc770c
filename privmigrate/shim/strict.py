"""Strict mode: what exact mode allows has to be allowed by the filters as they were meant."""

from collections.abc import Sequence

from privmigrate.rootwrap.command import Allowed, Failed, Mode, NotExecutable
from privmigrate.rootwrap.config import RootwrapConfig
from privmigrate.rootwrap.policy import Policy
from privmigrate.shim import client


def confirm(config: RootwrapConfig, argv: Sequence[str], command: client.Command) -> None:
    """Raise Quit unless the policy's strict answer is to run exactly this command."""
    answer = Policy.load(config).decide(argv, Mode.STRICT)
    match answer:
        case Allowed(command=found) if (found.executable, *found.argv) == (
            command.executable,
            *command.argv,
        ):
            return
        case NotExecutable(executable=path, name=name):
            message = f"Executable not found: {path} (filter match = {name})"
            raise client.Quit(client.EXIT_NO_EXECUTABLE, message)
        case Failed(error=error, why=why, name=name):
            message = f"the filter {name} cannot be asked: {error}: {why}"
            raise client.Quit(client.EXIT_FAILED, message)
        case _:
            message = f"Unauthorized command: {' '.join(argv)} (no filter matched)"
            raise client.Quit(client.EXIT_UNAUTHORIZED, message)
