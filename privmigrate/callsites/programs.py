"""Whether a word of a command line that is a program for an interpreter has a value in it.

A shell, awk, sed, find's ``-exec``, ssh, ``su -c``, env and xargs take some of their words for what
is to be run. A value in there is no operand: whoever chooses it may add a command.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SHELLS: Final = frozenset(("ash", "bash", "dash", "ksh", "rbash", "sh", "zsh"))
_SED: Final = frozenset(("sed",))
_AWK: Final = frozenset(("awk", "gawk", "mawk", "nawk"))
_INTERPRETERS: Final = frozenset(("lua", "node", "perl", "php", "python", "python3", "ruby"))
_SU: Final = frozenset(("runuser", "su"))
# Commands that run the command behind them.
_RUNNERS: Final = frozenset(
    ("chroot", "docker", "env", "flock", "ionice", "ip", "nice", "nohup", "nsenter", "podman",
     "runuser", "setsid", "ssh", "stdbuf", "su", "sudo", "systemd-run", "taskset", "timeout",
     "xargs")
)  # fmt: skip
_EXEC: Final = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
# Options that take the next word, by program.
_TAKES_WORD: Final = {
    "awk": "vF",
    "env": "uC",
    "sed": "l",
    "ssh": "BbcDEeFIiJLlmOpQRSWw",
    "xargs": "adEILnPs",
}
_EVALUATES: Final = frozenset((".", "command", "eval", "exec", "source"))
_SSH_COMMANDS: Final = ("proxycommand", "localcommand", "knownhostscommand", "remotecommand")


@dataclass(frozen=True, slots=True)
class Piece:
    """A word: its text, or the text before the first value in it."""

    text: str
    fixed: bool = True

    @property
    def name(self) -> str:
        """The base name, where it is fixed."""
        return self.text.rpartition("/")[2] if self.fixed else ""

    @property
    def is_option(self) -> bool:
        """Whether it begins as one."""
        return self.text.startswith("-") and self.text != "-"


def free_program(words: Sequence[Piece], *, quoted: bool = False) -> str | None:
    """What would run a program that is not wholly fixed; None where nothing does.

    With `quoted` the values behind ``ssh HOST COMMAND`` are such that no shell reads more in them.
    """
    for number, word in enumerate(words):
        behind = words[number + 1 :]
        if _is_run(words, number) and _runs_free(word.name, behind, quoted=quoted):
            return word.name
        if word.text in _EXEC and words[0].name == "find" and behind and not behind[0].fixed:
            return "find"
    return None


def _is_run(words: Sequence[Piece], number: int) -> bool:
    before = words[:number]
    return not before or before[-1].text in _EXEC or any(each.name in _RUNNERS for each in before)


def _runs_free(name: str, behind: Sequence[Piece], *, quoted: bool) -> bool:
    if name in SHELLS:
        return _shell(behind)
    if name in _AWK:
        return _script(behind, "e", "f", _TAKES_WORD["awk"])
    if name in _SED:
        return _script(behind, "e", "f", _TAKES_WORD["sed"])
    if name in _INTERPRETERS:
        return _script(behind, "ceEr", "m", "")
    if name in _SU:
        return _after(behind, ("-c", "--command", "--session-command"))
    if name == "ssh":
        return _ssh(behind, quoted=quoted)
    if name == "env":
        return _first_operand(behind, _TAKES_WORD["env"], assignments=True)
    return name == "xargs" and _first_operand(behind, _TAKES_WORD["xargs"], assignments=False)


def _shell(behind: Sequence[Piece]) -> bool:
    found = shell_operand(behind)
    if found is None:
        return False
    number, program = found
    text = behind[number]
    # what such a text does with its arguments is not followed
    arguments = behind[number + 1 :] if program and "$" in text.text else ()
    return not all(each.fixed for each in (text, *arguments))


def shell_operand(behind: Sequence[Piece]) -> tuple[int, bool] | None:
    """The first word behind a shell that is no option, and whether it is the text of ``-c``.

    Also one that is not fixed where an option may stand.
    """
    program = taken = False
    for number, word in enumerate(behind):
        if not word.fixed:
            return number, program and not taken
        if taken:
            taken = False
        elif word.text.startswith("--"):
            taken = word.text in {"--rcfile", "--init-file"}
        elif word.text.startswith(("-", "+")):
            program = program or "c" in word.text
            taken = word.text[-1] in "oO"
        else:
            return number, program
    return None


def _script(behind: Sequence[Piece], given: str, file: str, takes: str) -> bool:
    """Of a program that is the first operand, unless options give it."""
    scripted = False
    words = iter(behind)
    for word in words:
        if not word.is_option:
            if not word.fixed and not scripted:
                return True
            if not scripted:
                return False
            continue
        letter = word.text[-1]
        long = word.text.startswith("--")
        names = ("--expression", "--file", "--source", "--eval")
        if (long and word.text.partition("=")[0] in names) or (not long and letter in given + file):
            scripted = True
            value = word if "=" in word.text or not word.fixed else next(words, Piece(""))
            if not value.fixed:
                return True
        elif not word.fixed and (not long or not word.text.strip("-")):
            return word.text[1:2] not in takes or not word.text[1:2]
        elif not long and letter in takes:
            next(words, None)
    return False


def _after(behind: Sequence[Piece], options: Sequence[str]) -> bool:
    """Whether the value of one of these options is not fixed, or may be such an option."""
    for number, word in enumerate(behind):
        if word.text in options and any(not each.fixed for each in behind[number + 1 :][:1]):
            return True
        if not word.fixed and word.text.partition("=")[0] in options:
            return True
    return False


def _ssh(behind: Sequence[Piece], *, quoted: bool) -> bool:
    words = iter(behind)
    for word in words:
        if not word.is_option:
            command = next(words, Piece(""))
            free = any(not each.fixed for each in words)
            return not command.fixed or (free and (not quoted or command.text in _EVALUATES))
        value = word
        if word.text == "-o":
            value = next(words, Piece(""))
        elif word.text[-1:] in _TAKES_WORD["ssh"]:
            next(words, None)
            continue
        name = value.text.removeprefix("-o").strip().partition("=")[0].lower()
        if not value.fixed and ("=" not in value.text or name in _SSH_COMMANDS):
            return True
    return False


def _first_operand(behind: Sequence[Piece], takes: str, *, assignments: bool) -> bool:
    words = iter(behind)
    for word in words:
        if word.is_option:
            if word.text[-1:] in takes and not word.text.startswith("--") and word.fixed:
                next(words, None)
            elif assignments and not word.fixed and word.text.startswith(("-S", "--split-string")):
                return True
            continue
        if assignments and "=" in word.text:
            continue
        return not word.fixed
    return False
