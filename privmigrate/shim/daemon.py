"""What every daemon of the shim does with a command: decide, spawn with its own capabilities, log.

The filters are looked at before every command: an edit counts at once, a broken file denies. A
daemon that gave up what a new filter needs cannot take it back: it refuses, and ends, so that its
successor holds it.
"""

import os
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

from privmigrate.errors import (
    EXIT_BAD_CONFIG,
    EXIT_NO_EXECUTABLE,
    EXIT_UNAUTHORIZED,
    InputError,
    PrivmigrateError,
    Refused,
)
from privmigrate.linux.capabilities import NONE, Capability, CapabilitySet, every, read_sets
from privmigrate.linux.credentials import Identity
from privmigrate.linux.process import Process
from privmigrate.linux.spawn import CHANGE_USER, Program, spawn
from privmigrate.privsep.daemon.drop import drop
from privmigrate.privsep.daemon.profile import Profile
from privmigrate.shim import client
from privmigrate.shim.caller import Caller
from privmigrate.shim.index import OURS, Built, Source, build, own_signatures, store
from privmigrate.shim.learning import Learning
from privmigrate.shim.strict import confirm
from privmigrate.shim.trail import Trail
from privmigrate.shim.watch import Watch


class Outgrown(PrivmigrateError):  # noqa: N818 - an outcome, not an error
    """A command needs another daemon: one that kept more, or a newer one; nothing was started."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a command's standard input, output and errors are."""

    stdin: int
    stdout: int
    stderr: int


@dataclass(slots=True)
class Started:
    """A command that runs, and what the audit trail will say of it.

    Used in `with`: its record is kept when it ends, and written behind the answer to whoever waits.
    """

    process: Process
    command: client.Command
    trail: Trail | None
    begin: float
    learning: Learning | None = None
    _status: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.wait()
        self.process.close()
        if self.trail is not None:
            self.trail.write()

    def wait(self) -> int:
        """The exit status as subprocess gives it: -n for signal n."""
        if self._status is None:
            if self.learning is None:
                self._status = self._wait()
            else:
                with self.learning:
                    self._status = self._wait()
                    self.learning.keep(self.command, self._status)
        return self._status

    def _wait(self) -> int:
        result = self.process.wait_unreaped()
        self.process.wait()
        status = client.EXIT_FAILED
        if result is not None:
            status = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
        if self.trail is not None:
            self.trail.keep(self.command, status, time.monotonic() - self.begin)
        return status


class Executor:
    """Runs the commands of one configuration. Safe to use from many threads."""

    def __init__(self, name: str, source: Source) -> None:
        """Read the configuration; raise as `index.build`."""
        self._source: Final = source
        self.environ: Final = dict(os.environb)
        self._own: Final = Caller(self.environ)
        self._ours: Final = own_signatures()
        self._loading: Final = threading.Lock()
        self._built = _servable(build(source), source.path)
        self._index = client.Index(self._built.data)
        self._watch = Watch(self._index, OURS)
        self._path: Final = source.environ.get("PATH", "")
        self._name: Final = name
        self._held: CapabilitySet | None = None
        self.log: Final = client.Log(name, self._index.syslog)
        # a daemon stays who it is
        self.trail: Final = Trail(self.log, client.log_name(self.environ))

    @property
    def built(self) -> Built:
        """The configuration as it was read last."""
        return self._built

    @property
    def config(self) -> str:
        """The path of the configuration."""
        return self._source.path

    @property
    def held(self) -> CapabilitySet:
        """What the daemon kept; everything that it was started with where it gave up nothing."""
        return read_sets().permitted if self._held is None else self._held

    def give_up_the_rest(self, own: CapabilitySet = NONE) -> tuple[str, ...]:
        """Keep what the filters need and our `own`, and nothing else; say what a log should know.

        For a process with one thread. Where a filter's commands may hold everything, so does the
        daemon, and each of the others is limited when it is started.
        """
        if os.geteuid():
            return ("not root: nothing to give up",)
        needed = needs(self._built)
        if needed is None:
            return (
                self._built.warning or f"mode = {self._built.settings.mode}: nothing is limited",
            )
        dropped = drop(Profile((needed | own) & read_sets().permitted))
        self._held = dropped.credentials.permitted
        return dropped.remarks

    def prepare(
        self, argv: list[str], environ: Mapping[bytes, bytes] | None = None
    ) -> client.Command:
        """Decide what runs; raise client.Quit with rootwrap's status, or Outgrown."""
        index, built = self._fresh()
        caller = self._own if environ is None else Caller(dict(environ))
        words = list(argv)
        try:
            command = client.decide(index, words, caller)
        except client.Slow:
            raise client.Quit(client.EXIT_FAILED, "a filter cannot be asked") from None
        if built.settings.strict:
            confirm(built.config, argv, command)
        client.judge(index, command)
        client.user_id(command.user)  # nothing was promised yet if there is none
        mask = command.capabilities
        if self._held is not None and (mask is None or CapabilitySet(mask) - self._held):
            raise Outgrown(f"{command.name} needs what this daemon gave up")
        return command

    def start(
        self, command: client.Command, streams: Streams, *, cwd: str | None = None, umask: int = -1
    ) -> Started:
        """Start what was prepared; raise OSError as the kernel gives it.

        Without a folder, and with umask -1, these are our own.
        """
        begin = time.monotonic()
        trail = self.trail if self._index.audit else None
        if self._built.settings.mode != "learn" or os.geteuid():
            return Started(self._spawn(command, streams, cwd, umask), command, trail, begin)
        with ExitStack() as stack:
            learning = stack.enter_context(Learning(self._source.path, self.log))
            process = self._spawn(command, streams, cwd, umask)
            stack.pop_all()  # from now on it ends with the command
        return Started(process, command, trail, begin, learning)

    def _fresh(self) -> tuple[client.Index, Built]:
        with self._loading:
            if not self._watch.is_fresh(self._path):
                if own_signatures() != self._ours:
                    raise Outgrown("privmigrate was upgraded")
                try:
                    self._built = _servable(build(self._source), self._source.path)
                except InputError as error:
                    raise client.Quit(EXIT_BAD_CONFIG, str(error)) from None
                except Refused as error:
                    why = f"{self._source.path} will not be used: {error}"
                    raise client.Quit(EXIT_BAD_CONFIG, why) from None
                store(self._built, self._source.path)
                self._index = client.Index(self._built.data)
                self._watch = Watch(self._index, OURS)
            return self._index, self._built

    def _spawn(
        self, command: client.Command, streams: Streams, cwd: str | None, umask: int
    ) -> Process:
        program = Program(
            command.executable,
            command.argv,
            None if command.environ is self.environ else command.environ,  # ours: 20 us less
            cwd=cwd,
            umask=umask,
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
            new_group=False,
        )
        uid = client.user_id(command.user)
        if uid is not None and not os.geteuid():
            # the user alone, as under oslo.rootwrap
            return spawn(program, user=Identity(uid, os.getegid(), tuple(os.getgroups())))
        if command.capabilities is None or os.geteuid():
            return spawn(program)
        return spawn(program, capabilities=CapabilitySet(command.capabilities))


def told(quit_: client.Quit) -> str:
    """What a caller hears beside the status: of a denial nothing, as from oslo.rootwrap."""
    return "" if quit_.status in {EXIT_NO_EXECUTABLE, EXIT_UNAUTHORIZED} else quit_.message


def _servable(built: Built, file: str) -> Built:
    """Raise InputError where a daemon cannot do what the configuration says."""
    if built.settings.needs_setuid_programs:
        raise InputError(
            f"{file}: error: setuid_programs cannot be yes for a daemon, whose limited commands are"
            " under no_new_privs; use the one-shot command, or capabilities = all"
        )
    return built


def needs(built: Built) -> CapabilitySet | None:
    """What all filters together need, the daemon's own needs included; None for everything."""
    total = CapabilitySet()
    for plan in built.plans:
        if plan.capabilities is None:
            return None
        total |= plan.capabilities
        if plan.run_as != "root":
            total |= CHANGE_USER
        if plan.kind == "K":  # to see what a process executes
            total |= CapabilitySet.of(Capability.CAP_SYS_PTRACE)
    return None if every() <= total else total
