"""Who asks for a command, where there is time for the lengthy questions too."""

from shutil import which

from privmigrate.shim import client


class Caller(client.Caller):
    """A caller for whom the lengthy questions are answered too."""

    def guess_program(self, pid: int, command: str) -> str:
        """As KillFilter._program when the executable was renamed: by the command line and PATH."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - pathlib costs 5 ms
                word = client.decode(file.read().partition(b"\0")[0])
        except OSError:
            return ""
        found = which(word, path=self.path or None) or word
        return found if client.is_file(found) else command
