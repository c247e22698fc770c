"""Compare our reading of rootwrap with the installed oslo.rootwrap, on generated and real input.

``python -m tools.differential --examples 1000000 --seed 1`` compares a million decisions (and one
file per twenty decisions): same entry, same command, same environment, same exception; and that
strict mode allows nothing that exact mode does not. Progress goes to stderr, a summary to stdout;
the exit code is 1 if anything differs. tests/property runs the same functions under Hypothesis.
"""

import argparse
import configparser
import contextlib
import logging
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final
from unittest import mock

from oslo_rootwrap import filters as oslo
from oslo_rootwrap import wrapper

from privmigrate.argv.regex import compile_pattern
from privmigrate.diagnostics import Diagnostic
from privmigrate.rootwrap.command import Allowed, Decision, Denied, Failed, Mode, NotExecutable
from privmigrate.rootwrap.filters import Filter, bind
from privmigrate.rootwrap.parse import parse_filters, read_filters, read_filters_path
from privmigrate.rootwrap.policy import Policy
from privmigrate.rootwrap.rule import Status
from tools.made_filters import World, make_argv, make_file, make_text, make_world

PROJECT: Final = Path(__file__).resolve().parent.parent
DECISIONS_PER_POLICY: Final = 40
DECISIONS_PER_FILTERS: Final = 4  # after how many each filter of a policy is asked by itself
DECISIONS_PER_FILE: Final = 20
SECONDS_BETWEEN_REPORTS: Final = 10
SHORT: Final = 12  # where a pattern of a filter may take exponential time in `re`

Outcome = tuple[object, ...]


# -- both sides -----------------------------------------------------------------------------------


@dataclass
class Pair:
    """The same filters on both sides."""

    policy: Policy
    asked: list[oslo.CommandFilter]
    exec_dirs: tuple[str, ...]
    short: bool
    bound: tuple[Filter | Diagnostic, ...]


def load_oslo(folders: Sequence[str]) -> list[oslo.CommandFilter]:
    """oslo.rootwrap's own loading, with files in the order of their names."""
    listdir = os.listdir
    with mock.patch("os.listdir", lambda folder: sorted(listdir(folder))):
        return wrapper.load_filters(list(folders))


def load_pair(folder: str, exec_dirs: tuple[str, ...]) -> Pair | None:
    """Load a folder on both sides; None if oslo.rootwrap dies of it (then so do we)."""
    parsed = read_filters_path([folder])
    try:
        asked = load_oslo([folder])
    except (configparser.Error, TypeError, ValueError, OSError) as error:
        if not parsed.errors:
            raise AssertionError(f"oslo.rootwrap dies of {error!r}, we do not") from error
        return None
    if parsed.errors:
        raise AssertionError(f"we die of {parsed.errors}, oslo.rootwrap does not")
    policy = Policy.from_rules(parsed.rules, exec_dirs)
    if [rule.name for rule in policy.rules] != [one.name for one in asked]:
        raise AssertionError("other rules, or in another order")
    short = any(
        not compile_pattern(text).by_re
        for rule in policy.rules
        if rule.filter_class in {"RegExpFilter", "ChainingRegExpFilter"}
        for text in rule.texts[2:]
    )
    return Pair(policy, asked, exec_dirs, short, tuple(map(bind, policy.rules)))


def ask_oslo(pair: Pair, argv: Sequence[str]) -> Outcome:
    """What oslo.rootwrap does with an argv, short of running it."""
    for one in pair.asked:
        one.real_exec = None  # as in a fresh process
    words = list(argv)
    exec_dirs = list(pair.exec_dirs)
    try:
        one = wrapper.match_filter(pair.asked, words, exec_dirs)
        place = next(n for n, other in enumerate(pair.asked) if other is one)
        command = one.get_command(words, exec_dirs)
        environment = one.get_environment(words)
    except wrapper.NoFilterMatched:
        return ("denied",)
    except wrapper.FilterMatchNotExecutable as error:
        if error.match is None:
            raise
        place = next(n for n, other in enumerate(pair.asked) if other is error.match)
        return ("missing", place, error.match.exec_path)
    except Exception as error:  # noqa: BLE001 - whatever it is has to be the same on our side
        return ("failed", type(error).__name__)
    return ("allowed", place, tuple(command), environment, one.run_as)


def as_outcome(pair: Pair, decision: Decision, environ: Mapping[str, str]) -> Outcome:
    """Our decision in the form of `ask_oslo`."""
    match decision:
        case Allowed(command, name, span):
            place = place_of(pair, name, span)
            assert command.argv[0] == command.executable
            sets = isinstance(pair.asked[place], oslo.EnvFilter)
            assert sets or command.environment == ()
            environment = command.merged(environ) if sets else None
            return ("allowed", place, command.argv, environment, command.run_as)
        case NotExecutable(executable, name, span):
            return ("missing", place_of(pair, name, span), executable)
        case Failed(error):
            return ("failed", error)
        case Denied():
            return ("denied",)


def place_of(pair: Pair, name: str, span: object) -> int:
    """The position of a filter, on both sides."""
    return next(n for n, r in enumerate(pair.policy.rules) if (r.name, r.span) == (name, span))


def compare(
    pair: Pair,
    argv: tuple[str, ...],
    path: str | None = None,
    outcomes: Counter[str] | None = None,
) -> list[str]:
    """Everything that differs for one argv; `path` is the caller's PATH where it is not ours.

    `outcomes` counts: a comparison of nothing but refusals proves little.
    """
    usual = dict(os.environ)
    environ = None if path is None else {**usual, "PATH": path}
    # in place of os.environ, which would hand every change on to the C library
    with mock.patch.object(os, "environ", environ or usual):
        theirs = ask_oslo(pair, argv)
        seen = dict(os.environ)
    exact = pair.policy.decide(argv, Mode.EXACT, environ)
    wrong = []
    if as_outcome(pair, exact, seen) != theirs:
        wrong.append(f"exact: oslo.rootwrap says {theirs}, we say {exact}")
    strict = pair.policy.decide(argv, Mode.STRICT, environ)
    if isinstance(strict, Allowed) and not (
        isinstance(exact, Allowed) and exact.command == strict.command
    ):
        wrong.append(f"strict allows {strict}, exact says {exact}")
    if outcomes is not None:
        outcomes.update((f"exact {type(exact).__name__}", f"strict {type(strict).__name__}"))
    return wrong


def compare_filters(pair: Pair, argv: tuple[str, ...]) -> list[str]:
    """What single filters of ours allow, and oslo.rootwrap's do not or do otherwise."""
    wrong = []
    for rule, bound, one in zip(pair.policy.rules, pair.bound, pair.asked, strict=True):
        if isinstance(bound, Diagnostic):
            continue
        answer = bound.decide(argv)
        if isinstance(answer, Denied):
            continue
        words = list(argv)
        if not one.match(words):
            wrong.append(f"{rule.name} allows {argv}, oslo.rootwrap's does not")
            continue
        one.real_exec = one.exec_path  # as if it were found there
        command = answer.command
        if (command.executable, command.run_as) != (one.exec_path, one.run_as):
            wrong.append(f"{rule.name} runs {command.executable} instead of {one.exec_path}")
        if tuple(one.get_command(words)) != command.argv:
            wrong.append(f"{rule.name} runs {command.argv}, oslo.rootwrap's other words")
        if (one.get_environment(words) or {}) != (
            command.merged(os.environ) if isinstance(one, oslo.EnvFilter) else {}
        ):
            wrong.append(f"{rule.name} sets other variables")
        one.real_exec = None
    return wrong


# -- files ----------------------------------------------------------------------------------------


def compare_file(data: bytes, path: Path) -> list[str]:
    """What differs in the reading of one file, which is written to `path`, alone in its folder."""
    path.write_bytes(data)
    parsed = read_filters(str(path))
    if parsed != parse_filters(data, str(path)):
        return ["a file and its content are read differently"]
    theirs: object
    try:
        load_oslo([str(path.parent)])
        parser = configparser.RawConfigParser(strict=False)
        parser.read(path)
        theirs = [
            (name, [word.strip() for word in value.split(",")])
            for name, value in parser.items("Filters")
        ]
    except (configparser.Error, TypeError, ValueError) as error:
        if not parsed.errors:
            return [f"oslo.rootwrap dies of {error!r}, we do not: {data!r}"]
        return []
    if parsed.errors:
        return [f"we die of {parsed.errors}, oslo.rootwrap does not: {data!r}"]
    ours = [
        (rule.name, [rule.filter_class, *rule.texts])
        for rule in parsed.rules
        if rule.status is not Status.SHADOWED
    ]
    wrong = [] if ours == theirs else [f"{ours} instead of {theirs}: {data!r}"]
    text = path.read_text(encoding="locale").split("\n")
    for rule in parsed.rules:
        span = rule.span
        if rule.raw.split("\n") != text[span.line - 1 : span.end_line]:
            wrong.append(f"{rule.raw!r} is not what stands at {span}: {data!r}")
        for value in rule.values:
            line = text[value.span.line - 1][value.span.column - 1 :]
            if not line.startswith(value.text.split("\n")[0]):
                wrong.append(f"{value} is not at its place: {data!r}")
    return wrong


# -- the long run ---------------------------------------------------------------------------------


def real_folders() -> list[Path]:
    """Files of the wheels and of the corpus, and our own, as far as they are there."""
    corpus = Path(os.environ.get("PRIVMIGRATE_CORPUS", PROJECT.parent / "shared" / "corpus"))
    places = (PROJECT / ".cache" / "filters", corpus, PROJECT / "filters")
    return [path for place in places for path in sorted(place.rglob("*.filters"))]


@dataclass
class Run:
    """One long run: what was compared, and what differed."""

    random: Random
    world: World
    report: Callable[[str], None]
    real: list[Path]
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0

    def note(self, differences: list[str], about: str) -> None:
        """Count and report what differs."""
        for difference in differences:
            self.wrong += 1
            self.report(f"DIFFERENT: {difference}\n  {about}")

    def make_pair(self, folder: Path) -> Pair | None:
        """Filters of our own making, of real files, or of both."""
        for old in folder.iterdir():
            old.unlink()
        sources = self.random.choice(("made", "made", "both", "real") if self.real else ("made",))
        if sources != "real":
            (folder / "made.filters").write_text(make_text(self.random, self.world))
        if sources != "made":
            for number in range(self.random.randint(1, 3)):
                source = self.random.choice(self.real)
                (folder / f"{number}-real.filters").write_bytes(source.read_bytes())
        dirs = self.random.choice((self.world.exec_dirs, (*self.world.exec_dirs[1:], "/usr/bin")))
        return load_pair(str(folder), dirs)

    def decide_some(self, folder: Path, number: int) -> int:
        """Compare some decisions of one policy, and say how many."""
        pair = self.make_pair(folder)
        if pair is None:
            self.outcomes["policies that cannot be loaded"] += 1
            return 0
        self.outcomes["policies"] += 1
        for turn in range(number):
            argv = make_argv(self.random, self.world, pair.policy.rules)
            if pair.short:
                argv = tuple(word[:SHORT] for word in argv)
            path = self.random.choice((None, None, *self.world.path_variables))
            wrong = compare(pair, argv, path, self.outcomes)
            if turn % DECISIONS_PER_FILTERS == 0:
                wrong += compare_filters(pair, argv)
            if wrong:
                self.note(wrong, f"{argv!r} in {folder_text(folder)}")
        return number


def folder_text(folder: Path) -> str:
    """The filters of a policy, for a report."""
    return "".join(
        path.read_text(errors="replace") for path in sorted(folder.iterdir()) if "made" in path.name
    ) or ", ".join(map(str, sorted(folder.iterdir())))


@contextlib.contextmanager
def quiet_and_usual() -> Iterator[None]:
    """Silence oslo.rootwrap about unknown classes and `re` about odd patterns; set PATH.

    A KillFilter of a bare program is ours only where the system's folders are in PATH.
    """
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), mock.patch.dict(os.environ, {"PATH": path}):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(disabled)


@contextlib.contextmanager
def scratch_folders() -> Iterator[tuple[Path, Path]]:
    """Make two empty folders, and remove them at the end."""
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        yield Path(first), Path(second)


def run(examples: int, seed: int, report: Callable[[str], None]) -> Run:
    """Compare `examples` decisions and a twentieth as many files."""
    with quiet_and_usual(), make_world() as world, scratch_folders() as (folder, files):
        this = Run(Random(seed), world, report, real_folders())
        done = 0
        began = shown = time.monotonic()
        while done < examples:
            done += this.decide_some(folder, min(DECISIONS_PER_POLICY, examples - done))
            while this.outcomes["files"] < done // DECISIONS_PER_FILE:
                this.outcomes["files"] += 1
                file = files / "one.filters"
                this.note(compare_file(make_file(this.random), file), "a file")
            if time.monotonic() - shown > SECONDS_BETWEEN_REPORTS:
                shown = time.monotonic()
                rate = done / (shown - began)
                report(f"{done} of {examples} decisions, {rate:.0f}/s, {this.wrong} differences")
    return this


def main() -> int:
    """Run, print, and say by the exit code whether everything agreed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    arguments = parser.parse_args()
    began = time.monotonic()
    done = run(arguments.examples, arguments.seed, lambda line: print(line, file=sys.stderr))
    for name, number in sorted(done.outcomes.items()):
        print(f"{number:>9} {name}")
    print(
        f"{arguments.examples} decisions, seed {arguments.seed}: {done.wrong} differences from "
        f"oslo.rootwrap, {time.monotonic() - began:.0f} s"
    )
    return 1 if done.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
