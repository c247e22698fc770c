"""One command, from the first run to a proposal: observe, candidate, verify, minimise, propose.

Facts that shaped it, measured on Linux 6.18 with 143 command lines:

* What a watched run was granted is neither necessary (a check may be asked in passing, or be one of
  two of which either will do) nor sufficient (a program may look at its own capabilities and ask
  the kernel nothing; checks without audit record may decide). So nothing is proposed that was not
  run confined to exactly it, and behaved as root's run did.
* Exit status and output say little of commands that change something: losetup(8) without
  CAP_DAC_OVERRIDE exits with 0 and says nothing, and the device is read-only. So the effect has to
  be declared, and is compared too.
* A command may do otherwise with all capabilities than with few: mount(8) refuses to work for a
  user who holds CAP_SETUID. Then those two are left out from the start.
* Work that another process does (a daemon, udev) is not the command's, and is not seen.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from privmigrate.diagnostics import printable
from privmigrate.errors import InputError
from privmigrate.learn.confine import Command, Confinement, Run, run_shell, running
from privmigrate.learn.minimise import Attempt, minimise, repair, substitute
from privmigrate.linux.capabilities import NONE, CapabilitySet, read_sets
from privmigrate.linux.spawn import CHANGE_USER
from privmigrate.observe.candidate import Observed
from privmigrate.observe.watch import Watch

Status = Literal["verified", "cannot work", "observed", "unstable"]

SEARCH: Final = "search"
_SHOWN: Final = 160


@dataclass(frozen=True, slots=True)
class Plan:
    """What to learn from, and how.

    Attributes:
        set_up: a shell command before each run, so that each finds the same state.
        check: one after each run, whose exit status and output are the effect.
        clean_up: one after each run and check.
        compare_output: False where it differs by nature.
        timeout: seconds that each of these and each run may take.
        uid: of the service's user; `gid` goes with it.
        once: run it a single time, as root: what it asks for is then no more than observed.
    """

    command: Command
    uid: int
    gid: int
    set_up: str | None = None
    check: str | None = None
    clean_up: str | None = None
    compare_output: bool = True
    timeout: float = 60.0
    once: bool = False


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What is compared: how a run ended, what it wrote, and what its effect is."""

    code: int | None
    stdout: bytes
    effect: tuple[int, bytes] | None
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one identity needs.

    Attributes:
        candidate: what was asked for and granted in the watched run; None without a watch.
        runs: how often the command was run for it.
        remarks: what the reader should know.
    """

    status: Status
    capabilities: CapabilitySet
    candidate: CapabilitySet | None
    runs: int
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned of a command: as uid 0, and as another user."""

    argv: tuple[str, ...]
    executable: str
    code: int
    source: str
    kernel: str
    compared: tuple[str, ...]
    set_up: str
    check: str
    clean_up: str
    root: Proposal
    service: Proposal | None
    remarks: tuple[str, ...] = ()


class Experiment:
    """Runs a command under changing sets and compares; `tell` hears of every run."""

    def __init__(
        self, plan: Plan, watch: Watch | None, tell: Callable[[str], None] = lambda _text: None
    ) -> None:
        self._plan: Final = plan
        self._watch: Final = watch
        self._tell: Final = tell
        self._held: Final = read_sets().permitted
        self._compare_output = plan.compare_output
        self._repeats = False
        self.runs = 0

    def learn(self, argv: tuple[str, ...]) -> Learned:
        """Do it all; raise InputError where the command or its surroundings do not allow it."""
        reference, run = self._first_run()
        observed = run.observed
        if self._plan.once:
            granted = NONE if observed is None else observed.granted | observed.unaudited
            root, service = Proposal("observed", granted, granted, self.runs), None
        else:
            root = self._learn_as(0, 0, reference, run, observed)
            service = self._learn_as(self._plan.uid, self._plan.gid, reference, run, None)
        compared = ["exit status"] if not self._plan.once else []
        if compared and self._compare_output:
            compared.append("output")
        if compared and self._plan.check is not None:
            compared.append("effect")
        return Learned(
            argv=argv,
            executable=self._plan.command.argv[0],
            code=reference.code or 0,
            source=SEARCH if self._watch is None else self._watch.source.name,
            kernel=".".join(os.uname().release.split(".")[:2]),
            compared=tuple(compared),
            set_up=self._plan.set_up or "",
            check=self._plan.check or "",
            clean_up=self._plan.clean_up or "",
            root=root,
            service=service,
            remarks=self._remarks(reference, run),
        )

    def _first_run(self) -> tuple[Behaviour, Run]:
        reference, run = self._run(None)
        if run.code is None:
            raise InputError(f"{self._plan.command.argv[0]} cannot be executed: {run.why}")
        if run.timed_out:
            raise InputError(
                f"as root, it did not end within {self._plan.timeout:g} seconds (--timeout), or"
                " wrote too much: nothing to compare with"
            )
        return reference, run

    def _remarks(self, reference: Behaviour, run: Run) -> tuple[str, ...]:
        remarks = []
        if reference.code:
            remarks.append(
                f"as root it exits with {reference.code}: this is what it needs to do that;"
                f" it said {_last_line(run.stderr)}"
            )
        if self._plan.compare_output and not self._compare_output:
            remarks.append("its output differs from run to run, and was not compared")
        if self._plan.check is None and not self._plan.once:
            remarks.append("no effect was declared (--check): exit status and output may deceive")
        if run.observed is not None:
            lacking = run.observed.refused - self._held
            if lacking:
                remarks.append(
                    f"it also asked for {lacking}, which nobody holds here: learn it again where"
                    " root does"
                )
            if run.observed.lost:
                remarks.append(f"{run.observed.lost} events found no room")
        return tuple(remarks)

    # -- one identity ------------------------------------------------------------------------

    def _learn_as(
        self, uid: int, gid: int, reference: Behaviour, first: Run, observed: Observed | None
    ) -> Proposal:
        before = self.runs
        trials = _Trials(self, uid, gid, reference)
        universe = self._held
        remarks: list[str] = []
        if observed is None:
            universe, failed = self._find_universe(trials)
            if failed is not None:
                why = f"not even with {universe}: {_last_line(failed.stderr) or failed.why}"
                return Proposal("cannot work", NONE, None, self.runs - before, (why,))
            observed = trials.run_of(universe).observed
        if universe != self._held:
            remarks.append("refuses to work with CAP_SETUID and CAP_SETGID")
        candidate, enough = self._find_enough(trials, universe, observed)
        if enough is None:
            why = f"not even with {universe}: {_last_line(trials.run_of(universe).stderr)}"
            return Proposal("cannot work", NONE, candidate, self.runs - before, (why,))
        if candidate is not None and not enough <= candidate:
            remarks.append(f"asks nobody for {enough - candidate}, and needs it")
        least = substitute(trials.attempt, minimise(trials.attempt, enough))
        # once more: a first success may have been one by chance, or by what a run before it left
        behaviour, last = self._run(Confinement(least, uid, gid))
        stable = self._is_same(behaviour, reference)
        if not stable:
            remarks.append("worked once with this set, and then did not")
        elif last.stderr != first.stderr:
            remarks.append(f"now it says {_last_line(last.stderr) or 'nothing'} to stderr")
        runs = self.runs - before
        status: Status = "verified" if stable else "unstable"
        return Proposal(status, least, candidate, runs, tuple(remarks))

    def _find_universe(self, trials: "_Trials") -> tuple[CapabilitySet, Run | None]:
        """The set to begin with: everything, if with it the command works at all."""
        reduced = self._held - CHANGE_USER
        for universe in (self._held, reduced):
            if trials.attempt(universe).works:
                return universe, None
        return self._held, trials.run_of(self._held)

    def _find_enough(
        self, trials: "_Trials", universe: CapabilitySet, observed: Observed | None
    ) -> tuple[CapabilitySet | None, CapabilitySet | None]:
        """The candidate, if there is one, and a set that is enough, if there is one."""
        if self._watch is None or observed is None:
            return None, repair(trials.attempt, NONE, universe)
        candidate = observed.granted & universe
        for tried in (candidate, candidate | observed.unaudited & universe):
            if trials.attempt(tried).works:
                return candidate, tried
        return candidate, repair(trials.attempt, candidate, universe)

    # -- one run -----------------------------------------------------------------------------

    def compare(self, confinement: Confinement, reference: Behaviour) -> tuple[Attempt, Run]:
        """Run it confined; say whether it behaves as it did for root."""
        behaviour, run = self._run(confinement)
        works = self._is_same(behaviour, reference)
        if not works and not self._repeats:
            self._check_repeats(reference)
            works = self._is_same(behaviour, reference)
        who = "root" if confinement.uid == 0 else f"uid {confinement.uid}"
        self._tell(f"{who} with {confinement.capabilities}: {'works' if works else 'fails'}")
        refused = NONE if run.observed is None else run.observed.refused
        return Attempt(works, refused & self._held), run

    def _is_same(self, behaviour: Behaviour, reference: Behaviour) -> bool:
        return (
            not behaviour.timed_out
            and behaviour.code == reference.code
            and behaviour.effect == reference.effect
            and (behaviour.stdout == reference.stdout or not self._compare_output)
        )

    def _check_repeats(self, reference: Behaviour) -> None:
        """At the first failure: is it due to the set, or does the command just not repeat?"""
        self._repeats = True
        again, run = self._run(None)
        if again.code != reference.code or again.timed_out:
            raise InputError(
                f"as root, it exits with {reference.code} the first time and with {again.code} the"
                f" second ({_last_line(run.stderr)}): let --set-up and --clean-up make every run"
                " find the same"
            )
        if again.effect != reference.effect:
            raise InputError(
                "as root, --check says one thing after the first run and another after the second:"
                " let it print only what is the same each time, or let --set-up and --clean-up make"
                " every run find the same"
            )
        if again.stdout != reference.stdout:
            self._compare_output = False

    def _run(self, confinement: Confinement | None) -> tuple[Behaviour, Run]:
        plan = self._plan
        if confinement is None:
            self._tell("root without limits")
        self.runs += 1
        try:
            if plan.set_up is not None:
                self._prepare("--set-up", plan.set_up)
            with running(plan.command, confinement, self._watch, plan.timeout) as run:
                effect = None if plan.check is None else self._shell(plan.check)
                return Behaviour(run.code, run.stdout, effect, run.timed_out), run
        finally:
            if plan.clean_up is not None:
                self._prepare("--clean-up", plan.clean_up)

    def _prepare(self, option: str, text: str) -> None:
        code, said = self._shell(text)
        if code:
            raise InputError(f"{option} exits with {code}: {_last_line(said)}")

    def _shell(self, text: str) -> tuple[int, bytes]:
        plan = self._plan
        done = run_shell(text, plan.command.environment, plan.timeout)
        if done is None:
            raise InputError(f"{text!r} did not end within {plan.timeout:g} seconds (--timeout)")
        return done


class _Trials:
    """The runs as one identity; none is made twice."""

    def __init__(self, experiment: Experiment, uid: int, gid: int, reference: Behaviour) -> None:
        self._experiment: Final = experiment
        self._uid: Final = uid
        self._gid: Final = gid
        self._reference: Final = reference
        self._known: Final[dict[CapabilitySet, tuple[Attempt, Run]]] = {}

    def attempt(self, capabilities: CapabilitySet) -> Attempt:
        """Run it with exactly these."""
        return self._look(capabilities)[0]

    def run_of(self, capabilities: CapabilitySet) -> Run:
        """The run with exactly these."""
        return self._look(capabilities)[1]

    def _look(self, capabilities: CapabilitySet) -> tuple[Attempt, Run]:
        if capabilities not in self._known:
            confinement = Confinement(capabilities, self._uid, self._gid)
            self._known[capabilities] = self._experiment.compare(confinement, self._reference)
        return self._known[capabilities]


def _last_line(data: bytes) -> str:
    lines = data.decode(errors="replace").strip().splitlines()
    text = lines[-1] if lines else ""
    shown = printable(text)
    return repr(shown[:_SHOWN]) if shown else ""
