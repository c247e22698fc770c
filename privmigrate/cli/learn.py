"""``privmigrate learn``: watch commands, and find out by trial which capabilities they need."""

import argparse
import json
import os
import pwd
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from privmigrate.cli import add_format, say
from privmigrate.errors import SIGNAL_BASE, InputError

if TYPE_CHECKING:
    from privmigrate.learn.log import Task
    from privmigrate.learn.table import Entry
    from privmigrate.observe.watch import Watch

NOT_LEARNED: Final = 1
NEEDS_A_PERSON: Final = 3
_SEARCH: Final = "search"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NAMES: Final = ("HOME", "LANG", "LANGUAGE", "LOGNAME", "SHELL", "TERM", "TZ", "USER")

_DESCRIPTION: Final = """\
Run a command as root, watch which capabilities the kernel is asked for, and then run it again with
only these, as uid 0 and as another user, restricted as a privsep daemon restricts its commands.
What behaves the same (exit status, output, and the effect that --check looks at) is made smaller
until nothing can be left out, and is recorded with its evidence.

The command runs some ten times, really, as root, in /, with the environment of a daemon's commands.
Processes that it leaves behind are ended. Relative paths are relative to /.
"""
_EXAMPLE: Final = """\
examples:
  privmigrate learn --repeatable --output learned.toml \\
      --set-up 'touch /srv/x; chown 1:1 /srv/x' --check 'stat -c %u /srv/x' -- chown 2 /srv/x
  privmigrate learn --filters /etc/cinder/rootwrap.conf --from /var/log/syslog --list
  privmigrate convert /etc/cinder/rootwrap.d --capabilities learned.toml

exit codes: 0 learned, 1 something could not be verified, 2 bad input, 3 somebody said no
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLE
    parser.usage = (
        "%(prog)s [OPTIONS] -- CMD [ARGS...]\n       "
        "%(prog)s [OPTIONS] --filters rootwrap.conf --from LOG"
    )
    add = parser.add_argument
    add("command", nargs="*", metavar="CMD", help="the command and its arguments, after --")
    what = parser.add_argument_group("commands out of a log")
    what.add_argument(
        "--filters",
        metavar="CONF",
        help="the rootwrap.conf, rootwrap.d folder or .filters file that allowed them",
    )
    what.add_argument("--from", dest="log", metavar="LOG", help="log of rootwrap, sudo or service")
    what.add_argument("--list", action="store_true", help="say what would be learned; run nothing")
    what.add_argument(
        "--all", action="store_true", help="also what the table of commands has verified"
    )
    runs = parser.add_argument_group("runs")
    runs.add_argument("--set-up", metavar="SHELL", help="before each run, so that all are alike")
    runs.add_argument("--check", metavar="SHELL", help="after it: exit status and output compared")
    runs.add_argument("--clean-up", metavar="SHELL", help="after that")
    runs.add_argument("--stdin", metavar="FILE", help="what the command reads (default: nothing)")
    runs.add_argument("--user", default="nobody", help="the service's user (default: nobody)")
    runs.add_argument("--ignore-output", action="store_true", help="do not compare its output")
    runs.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="for a run (default: 60)"
    )
    runs.add_argument(
        "--source",
        choices=("auto", "tracepoint", "kprobe", _SEARCH),
        default="auto",
        help="how to watch; search: by trial alone (default: the best that this kernel has)",
    )
    often = runs.add_mutually_exclusive_group()
    often.add_argument(
        "--repeatable", action="store_true", help="running it any number of times does no harm"
    )
    often.add_argument(
        "--once", action="store_true", help="run it once, as root: observe, verify nothing"
    )
    runs.add_argument("--yes", action="store_true", help="answer every question with yes")
    out = parser.add_argument_group("result")
    out.add_argument("--output", metavar="FILE", help="record it here, for convert --capabilities")
    out.add_argument(
        "--form", metavar="WORDS", help="the words that make it this form (default: all but paths)"
    )
    add_format(out)
    out.add_argument("--verbose", action="store_true", help="say every run")


def run(arguments: argparse.Namespace) -> int:
    """Learn; raise InputError for what cannot be used."""
    _check(arguments)
    tasks, notes = _tasks(arguments)
    for note in notes:
        say(note)
    if arguments.list:
        return _list(tasks, as_json=arguments.format == "json")
    if not tasks:
        say("nothing is left to learn")
        return 0
    _check_root(arguments)
    answers = {task: _ask(arguments, task) for task in tasks}
    chosen = [task for task in tasks if answers[task]]
    if not chosen:
        return NEEDS_A_PERSON
    entries: list[Entry] = []
    code = 0 if len(chosen) == len(tasks) else NEEDS_A_PERSON
    with _cleared_away(), _watch(arguments) as watch:
        for task in chosen:
            code = max(code, _learn(arguments, task, answers[task], watch, entries))
    if arguments.format == "json":
        print(json.dumps(entries, indent=2))
    return code


def _check(arguments: argparse.Namespace) -> None:
    if (arguments.filters is None) != (arguments.log is None):
        raise InputError("--filters and --from belong together")
    if bool(arguments.command) == (arguments.log is not None):
        raise InputError("give a command after --, or a log with --filters CONF --from LOG")
    if arguments.log is not None:
        for option in ("set_up", "check", "clean_up", "stdin", "form"):
            if getattr(arguments, option) is not None:
                name = option.replace("_", "-")
                raise InputError(f"--{name} is for one command, and a log has many")
    elif arguments.list or arguments.all:
        raise InputError("--list and --all are for commands out of a log (--from)")
    if not 0 < arguments.timeout < 1 << 31:
        raise InputError("--timeout must be more than 0 seconds")
    if arguments.once and arguments.source == _SEARCH:
        raise InputError("--once observes, and --source search does not")


def _check_root(arguments: argparse.Namespace) -> None:
    from privmigrate.learn.table import check_path
    from privmigrate.linux.capabilities import Capability, CapabilitySet, read_sets

    if os.geteuid() != 0:
        raise InputError(
            "learn needs root: it traces, changes users, and runs the command as root does"
        )
    needed = CapabilitySet.of(
        Capability.CAP_SETUID,
        Capability.CAP_SETGID,
        Capability.CAP_SETPCAP,
        Capability.CAP_SYS_ADMIN,
        Capability.CAP_KILL,
        Capability.CAP_SYS_CHROOT,
    )
    if missing := needed - read_sets().permitted:
        raise InputError(f"learn needs {missing}, which this root does not hold (a container?)")
    if arguments.stdin is not None and not Path(arguments.stdin).is_file():
        raise InputError(f"--stdin {arguments.stdin}: error: there is no such file")
    _user(arguments.user)
    if arguments.output is not None:
        check_path(arguments.output)


def _user(name: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise InputError(f"--user {name}: error: there is no such user") from None
    if entry.pw_uid == 0:
        raise InputError("--user: error: root is tried anyway; name the service's user")
    return entry.pw_uid, entry.pw_gid


# what to learn


def _tasks(arguments: argparse.Namespace) -> "tuple[list[Task], list[str]]":
    if arguments.log is not None:
        return _tasks_of_log(arguments)
    from privmigrate.learn.log import Task

    argv = tuple(arguments.command)
    return [Task(argv, _find(argv[0]), ())], []


def _find(name: str) -> str:
    from privmigrate.privsep.execute import PATH, Executable, ExecutableNotFound

    if "/" in name and not name.startswith("/"):
        raise InputError(f"{name}: error: give an absolute path, or a name alone")
    try:
        return Executable(name, dirs=tuple(PATH.split(":"))).resolve()
    except ExecutableNotFound:
        where = "" if "/" in name else f" (looked in {PATH})"
        raise InputError(f"{name}: error: there is no such executable{where}") from None


def _tasks_of_log(arguments: argparse.Namespace) -> "tuple[list[Task], list[str]]":
    from privmigrate.audit.matching import load
    from privmigrate.learn.log import plan_tasks, read_uses
    from privmigrate.privsep.execute import PATH
    from privmigrate.rootwrap.journal import read_lines

    log: str = arguments.log
    environ = {"PATH": PATH}
    policy = load(arguments.filters, environ).policy
    uses = read_uses(read_lines(log), policy, environ)
    if not uses:
        raise InputError(f"{log}: error: there is no command line in it")
    return plan_tasks(uses, with_known=arguments.all)


def _list(tasks: "Sequence[Task]", *, as_json: bool) -> int:
    from privmigrate.learn.report import line

    if as_json:
        print(json.dumps([list(task.argv) for task in tasks], indent=2))
    else:
        for task in tasks:
            print(line(task.argv))
    return 0


def _ask(arguments: argparse.Namespace, task: "Task") -> str:
    """How it is known that the command may be repeated; empty if it may not."""
    from privmigrate.learn.report import line

    if arguments.once:
        return "run once"
    if arguments.repeatable:
        return "declared"
    if arguments.yes:
        return "answered with --yes"
    if not sys.stdin.isatty():
        raise InputError(
            f"{line(task.argv)} would be run some ten times, as root: say --repeatable if that"
            " does no harm, or --once to run it a single time; there is no terminal to ask at"
        )
    print(
        f"{line(task.argv)}\nwould be run some ten times, as root and as {arguments.user}."
        " Does that do no harm? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return "answered"
    say("not run: make it repeatable with --set-up and --clean-up, or use --once")
    return ""


# learning


@contextmanager
def _watch(arguments: argparse.Namespace) -> "Iterator[Watch | None]":
    """The best source, or None: then by trial alone, which is said."""
    from privmigrate.observe.tracefs import CannotTrace
    from privmigrate.observe.watch import watching

    if arguments.source == _SEARCH:
        yield None
        return
    source = watching(arguments.source)
    try:
        watch = source.__enter__()  # an error of the body is not one of tracing
    except CannotTrace as error:
        if arguments.source != "auto" or arguments.once:
            raise InputError(f"nothing can be watched: {error}") from error
        say(f"nothing can be watched ({error}): searching by trial runs alone, which takes longer")
        yield None
        return
    try:
        yield watch
    finally:
        source.__exit__(None, None, None)


@contextmanager
def _cleared_away() -> Iterator[None]:
    """Let what would kill us end us in order: the instance is removed, the command is ended."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        for each in _SIGNALS:  # what is being cleared away now is cleared away to its end
            signal.signal(each, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(SIGNAL_BASE + number)

    before = {number: signal.signal(number, end) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _learn(
    arguments: argparse.Namespace,
    task: "Task",
    answered: str,
    watch: "Watch | None",
    entries: "list[Entry]",
) -> int:
    from privmigrate.learn.confine import Command
    from privmigrate.learn.experiment import Experiment, Plan
    from privmigrate.learn.report import describe, is_learned, line
    from privmigrate.learn.table import check_form, entry_of, form_of, record

    words = form_of(task.argv) if arguments.form is None else tuple(arguments.form.split())
    check_form(words)
    uid, gid = _user(arguments.user)
    plan = Plan(
        Command((task.executable, *task.argv[1:]), _environment(task), arguments.stdin),
        uid,
        gid,
        set_up=arguments.set_up,
        check=arguments.check,
        clean_up=arguments.clean_up,
        compare_output=not arguments.ignore_output,
        timeout=arguments.timeout,
        once=arguments.once,
    )
    tell = _teller(verbose=arguments.verbose)
    try:
        learned = Experiment(plan, watch, tell).learn(task.argv)
    except InputError as error:
        if arguments.log is None:
            raise
        say(f"{line(task.argv)}: {error}")  # the others can still be learned
        return NOT_LEARNED
    tell("")
    entries.append(entry_of(learned, words, answered))
    if arguments.output is not None:
        record(arguments.output, entries[-1:])
    if arguments.format != "json":
        print("\n".join(describe(learned, words, arguments.user)))
        if arguments.output is not None:
            say(f"recorded in {arguments.output}")
    return 0 if is_learned(learned) else NOT_LEARNED


def _environment(task: "Task") -> dict[str, str]:
    """As a daemon's commands have it."""
    from privmigrate.privsep.execute import PATH

    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _NAMES or name.startswith("LC_")
    }
    return {**kept, "PATH": PATH, **dict(task.environment)}


def _teller(*, verbose: bool) -> Callable[[str], None]:
    """Progress: lines where they are asked for, one changing line on a terminal, else nothing."""
    if verbose:
        return lambda text: say(text) if text else None
    if not sys.stderr.isatty():
        return lambda _text: None

    def show(text: str) -> None:
        print(f"\r\x1b[K{text[:78]}", end="", file=sys.stderr, flush=True)

    return show
